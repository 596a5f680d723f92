# A statically linked program inside a script: no preload reaches it
available()
{
    test -x "$BUILD/real/counter-static"
}
prepare()
{
    script count <<'SH'
#!/bin/sh
"$2/real/counter-static" "$1/static"
n=$(cat "$1/script")
echo $((n + 1)) >"$1/script"
SH
}
setup()
{
    echo 0 >"$TABLE/static"
    echo 0 >"$TABLE/script"
}
operation()
{
    run "$WORK/count" "$TABLE" "$BUILD"
}
list()
{
    grep . "$TABLE/static" "$TABLE/script" | sed 's,.*/,,'
}
expected()
{
    echo "static:$#"
    echo "script:$#"
}
