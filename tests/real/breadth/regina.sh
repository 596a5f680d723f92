# Regina REXX: a file read and written by linein and lineout
needs='rexx'
right='process'
refused='session'
prepare()
{
    script store.rexx <<'REXX'
parse arg path act name
n = 0
do while lines(path) > 0
    line = linein(path)
    if act = 'delete' & line = name then iterate
    n = n + 1; item.n = line
end
call stream path, 'c', 'close'
if act = 'insert' then do; n = n + 1; item.n = name; end
call stream path, 'c', 'open write replace'
do i = 1 to n; call lineout path, item.i; end
call stream path, 'c', 'close'
REXX
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run rexx "$WORK/store.rexx" "$TABLE/items" insert "$1"
}
delete()
{
    run rexx "$WORK/store.rexx" "$TABLE/items" delete "$1"
}
list()
{
    cat "$TABLE/items"
}
