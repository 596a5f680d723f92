# nvi -e: it flocks the file that it edits, and gives up when that is locked
needs='nvi'
right='process'
setup()
{
    old_names >"$TABLE/items"
    mkdir -p "$WORK/home"
}
insert()
{
    export HOME=$WORK/home
    run nvi -e -s "$TABLE/items" <<<"\$a
$1
.
wq"
}
delete()
{
    export HOME=$WORK/home
    run nvi -e -s "$TABLE/items" <<<"g/^$1\$/d
wq"
}
list()
{
    cat "$TABLE/items"
}
