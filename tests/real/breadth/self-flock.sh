# A script that flocks the lock file by itself: guard and script are one owner
needs='flock'
locks=yes
right='process'
prepare()
{
    script count <<'SH'
#!/bin/sh
exec 9>>"$1.lock"
flock 9
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
