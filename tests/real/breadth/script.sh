# script -c: the command runs on a terminal of its own, its output goes into the table
needs='script'
prepare()
{
    script count <<'SH'
#!/bin/sh
n=$(cat "$1/count")
echo $((n + 1)) >"$1/count"
echo "by $2"
SH
}
setup()
{
    echo 1000 >"$TABLE/count"
    echo start >"$TABLE/typescript"
}
insert()
{
    run script -q -e -a -c "$WORK/count $TABLE $1" "$TABLE/typescript"
}
list()
{
    cat "$TABLE/count" && tr -d '\r' <"$TABLE/typescript" | sed -n 's/^by //p'
}
expected()
{
    local worker
    echo $((1000 + $#))
    for worker; do
        new_names "$worker"
    done
}
