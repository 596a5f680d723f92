# A script that waits for a child in a session of its own: setsid --wait
needs='setsid'
prepare()
{
    script count <<'SH'
#!/bin/sh
n=$(cat "$1/count")
setsid --wait sh -c 'echo $(($2 + 1)) >"$1/count"' write "$1" "$n"
SH
}
setup()
{
    echo 1000 >"$TABLE/count"
}
operation()
{
    run "$WORK/count" "$TABLE"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
