# cpio: appends to an archive
needs='cpio'
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
    (cd "$WORK/files" && old_names | cpio -o --quiet -H newc -O "$TABLE/archive.cpio")
}
insert()
{
    cd "$WORK/files" && run cpio -o -A --quiet -H newc -O "$TABLE/archive.cpio" <<<"$1"
}
list()
{
    cpio -it --quiet <"$TABLE/archive.cpio"
}
