# tar: appends to an archive and deletes from it
needs='tar'
right='process session'
size=200
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
    (cd "$WORK/files" && tar cf "$TABLE/archive.tar" old*)
}
insert()
{
    run tar rf "$TABLE/archive.tar" -C "$WORK/files" "$1"
}
delete()
{
    run tar --delete -f "$TABLE/archive.tar" "$1"
}
list()
{
    tar tf "$TABLE/archive.tar"
}
