# Half of the commands run below an flock(1) on the same lock file, which they inherit
needs='flock'
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
    if (($1 % 2)) || [ "$guard" != command ]; then
        run "$WORK/count" "$TABLE"
    fi
    exec flock "$TABLE.lock" "$BUILD/lockctl" run --table "$TABLE" -- "$WORK/count" "$TABLE"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
