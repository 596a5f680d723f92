# mksquashfs: appends a file to a file system image
needs='mksquashfs unsquashfs'
right='process'
size=20
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
    mksquashfs "$WORK"/files/old* "$TABLE/image" -quiet -no-progress -no-recovery
}
insert()
{
    run mksquashfs "$WORK/files/$1" "$TABLE/image" -quiet -no-progress -no-recovery
}
list()
{
    unsquashfs -l "$TABLE/image" | sed -n 's,^squashfs-root/,,p'
}
