# arj: adds to an archive
needs='arj'
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
    (cd "$WORK/files" && arj a -y "$TABLE/archive.arj" old*)
}
insert()
{
    cd "$WORK/files" && run arj a -y "$TABLE/archive.arj" "$1"
}
delete()
{
    run arj d -y "$TABLE/archive.arj" "$1"
}
list()
{
    arj l "$TABLE/archive.arj" | awk '/^(old|new)/ { print $1 }'
}
right='process'
