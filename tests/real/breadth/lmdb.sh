# LMDB: mdb_load; a database that locks by itself, in shared memory
needs='mdb_load mdb_dump'
right='process session'
locks=yes
setup()
{
    old_names | sed 'p;s/.*/value/' | mdb_load -T -n "$TABLE/data.mdb"
}
insert()
{
    run mdb_load -T -n "$TABLE/data.mdb" <<<"$1"$'\nvalue'
}
list()
{
    mdb_dump -p -n "$TABLE/data.mdb" | sed -n '/HEADER=END/,/DATA=END/s/^ \(old\|new\)/\1/p'
}
