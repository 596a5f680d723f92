# ar: replaces and deletes members of a library
needs='ar'
right='process'
prepare()
{
    local name
    mkdir "$WORK/files" && cd "$WORK/files" || return
    for name in $(old_names) $(seq -f 'new%02g' "$WORKERS"); do
        echo "content of $name" >"$name"
    done
}
setup()
{
    (cd "$WORK/files" && ar rcS "$TABLE/lib.a" old*)
}
insert()
{
    run ar rS "$TABLE/lib.a" "$WORK/files/$1"
}
delete()
{
    run ar dS "$TABLE/lib.a" "$1"
}
list()
{
    ar t "$TABLE/lib.a"
}
