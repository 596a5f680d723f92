# A shell script that counts: n=$(cat f); echo $((n + 1)) >f
prepare()
{
    script count <<'SH'
#!/bin/sh
n=$(cat "$1/count")
echo $((n + 1)) >"$1/count"
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
