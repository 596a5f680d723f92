# tinycdb: a constant database is dumped, built anew beside and renamed into place
needs='cdb'
prepare()
{
    script change <<'SH'
#!/bin/sh
{ cdb -d -m "$1" && echo "$2 1"; } | cdb -c -m -t "$1.tmp.$$" "$1"
SH
}
setup()
{
    old_names | sed 's/$/ 1/' | cdb -c -m "$TABLE/data.cdb"
}
insert()
{
    run "$WORK/change" "$TABLE/data.cdb" "$1"
}
list()
{
    cdb -l -m "$TABLE/data.cdb"
}
