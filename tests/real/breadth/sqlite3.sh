# sqlite3: it locks by itself, and fails at once when it is locked
needs='sqlite3'
right='process session'
setup()
{
    { echo 'create table item(name text primary key); begin;' &&
        old_names | sed "s/.*/insert into item values('&');/" && echo 'commit;'; } |
        sqlite3 "$TABLE/items.db"
}
insert()
{
    run sqlite3 "$TABLE/items.db" "insert into item values('$1')"
}
delete()
{
    run sqlite3 "$TABLE/items.db" "delete from item where name = '$1'"
}
list()
{
    sqlite3 "$TABLE/items.db" 'select name from item'
}
