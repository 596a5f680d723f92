# 7-Zip: adds to an archive and deletes from it
needs='7z'
size=100
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
    (cd "$WORK/files" && 7z a -bd -mx0 "$TABLE/archive.7z" old*)
}
insert()
{
    run 7z a -bd -mx0 "$TABLE/archive.7z" "$WORK/files/$1"
}
delete()
{
    run 7z d -bd "$TABLE/archive.7z" "$1"
}
list()
{
    7z l -ba "$TABLE/archive.7z" | awk '{ print $NF }'
}
right='process'
