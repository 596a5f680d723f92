# Berkeley DB: db5.3_load puts a record into a hash file
needs='db5.3_load db5.3_dump'
right='process session'
setup()
{
    old_names | sed 'p;s/.*/value/' | db5.3_load -T -t hash "$TABLE/hash.db"
}
insert()
{
    run db5.3_load -T -t hash "$TABLE/hash.db" <<<"$1"$'\nvalue'
}
list()
{
    db5.3_dump -p "$TABLE/hash.db" | sed -n '/HEADER=END/,/DATA=END/s/^ \(old\|new\)/\1/p'
}
