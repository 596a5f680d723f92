# savelog: a line is written and the log rotated, by a shell script of many renames
needs='savelog'
limit=120
setup()
{
    echo old >"$TABLE/log"
}
prepare()
{
    script work <<'SH'
#!/bin/sh
echo "$2" >>"$1/log"
savelog -q -n -l -c 90 "$1/log"
SH
}
insert()
{
    run "$WORK/work" "$TABLE" "$1"
}
list()
{
    cat "$TABLE"/*
}
expected()
{
    local worker
    echo old
    for worker; do
        new_names "$worker"
    done
}
