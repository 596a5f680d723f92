# A Go program inside a script: it makes its own system calls
available()
{
    test -x "$BUILD/real/counter-go"
}
prepare()
{
    script count <<'SH'
#!/bin/sh
"$2/real/counter-go" "$1/go"
n=$(cat "$1/script")
echo $((n + 1)) >"$1/script"
SH
}
setup()
{
    echo 0 >"$TABLE/go"
    echo 0 >"$TABLE/script"
}
operation()
{
    run "$WORK/count" "$TABLE" "$BUILD"
}
list()
{
    grep . "$TABLE/go" "$TABLE/script" | sed 's,.*/,,'
}
expected()
{
    echo "go:$#"
    echo "script:$#"
}
