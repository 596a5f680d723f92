# mtools: copies a file into a FAT image
needs='mformat mcopy mdel mdir'
right='process'
size=100
prepare()
{
    local name
    mkdir "$WORK/files" && cd "$WORK/files" || return
    for name in $(old_names) $(seq -f 'new%02g' "$WORKERS"); do
        echo "content of $name" >"$name"
    done
    export MTOOLS_SKIP_CHECK=1 MTOOLSRC=/dev/null MTOOLS_NO_VFAT=0
}
setup()
{
    mformat -C -i "$TABLE/disk.img" -T 8192 -h 2 -s 32 :: &&
        mcopy -i "$TABLE/disk.img" "$WORK"/files/old* ::
}
insert()
{
    run mcopy -i "$TABLE/disk.img" "$WORK/files/$1" ::
}
delete()
{
    run mdel -i "$TABLE/disk.img" "::$1"
}
list()
{
    mdir -b -i "$TABLE/disk.img" :: | sed 's,::/,,' &&
        mtype -i "$TABLE/disk.img" '::*' | grep -vx 'content of .*'
    return 0
}
