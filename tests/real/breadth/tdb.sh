# tdbtool: a database that locks by itself, by fcntl
needs='tdbtool tdbdump'
right='process session'
locks=yes
setup()
{
    { echo "create $TABLE/store.tdb" && old_names | sed 's/.*/insert & 1/'; } | tdbtool
}
insert()
{
    run tdbtool "$TABLE/store.tdb" insert "$1" 1
}
delete()
{
    run tdbtool "$TABLE/store.tdb" delete "$1"
}
list()
{
    tdbtool "$TABLE/store.tdb" keys | sed -n 's/^key [0-9]* bytes: \([a-z0-9]*\).*/\1/p'
}
