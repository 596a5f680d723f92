# debugfs: writes a file into an ext2 image
needs='mke2fs debugfs'
right='process'
size=100
PATH=$PATH:/sbin:/usr/sbin
prepare()
{
    local name
    mkdir "$WORK/files" "$WORK/old" && cd "$WORK/files" || return
    for name in $(old_names) $(seq -f 'new%02g' "$WORKERS"); do
        echo "content of $name" >"$name"
    done
    mv old* "$WORK/old"
}
setup()
{
    mke2fs -q -t ext2 -d "$WORK/old" "$TABLE/disk.img" 4M
}
insert()
{
    cd "$WORK/files" && run debugfs -w -R "write $1 $1" "$TABLE/disk.img"
}
list()
{
    debugfs -R 'ls -p' "$TABLE/disk.img" | awk -F/ '$6 ~ /^(old|new)/ { print $6 }'
}
