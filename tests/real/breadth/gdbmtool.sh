# gdbmtool: the library locks its file, and fails when it is locked
needs='gdbmtool'
right='process session'
setup()
{
    old_names | sed 's/.*/store & 1/' | gdbmtool --newdb "$TABLE/db"
}
insert()
{
    run gdbmtool "$TABLE/db" store "$1" 1
}
delete()
{
    run gdbmtool "$TABLE/db" delete "$1"
}
list()
{
    gdbmtool --read-only "$TABLE/db" list | cut -d' ' -f1
}
