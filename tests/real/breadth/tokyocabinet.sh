# Tokyo Cabinet: tchmgr; a database that locks by itself, by fcntl
needs='tchmgr'
right='process session'
locks=yes
setup()
{
    local name
    old_names | sed 's/$/\t1/' >"$WORK/records" && tchmgr create "$TABLE/data.tch" &&
        tchmgr importtsv "$TABLE/data.tch" "$WORK/records"
}
insert()
{
    run tchmgr put "$TABLE/data.tch" "$1" 1
}
delete()
{
    run tchmgr out "$TABLE/data.tch" "$1"
}
list()
{
    tchmgr list "$TABLE/data.tch"
}
