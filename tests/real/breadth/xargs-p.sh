# ls | xargs -P: children side by side, behind a pipe whose other end reads the table
needs='xargs'
prepare()
{
    script work <<'SH'
#!/bin/sh
cd "$1" && ls | xargs -P 3 -n 1 sh -c 'n=$(cat "$1"); echo $((n + 1)) >"$1"' one
SH
}
setup()
{
    local n
    for n in 0 1 2 3 4; do
        echo 1000 >"$TABLE/count$n"
    done
}
operation()
{
    run "$WORK/work" "$TABLE"
}
list()
{
    (cd "$TABLE" && grep . count*)
}
expected()
{
    local n
    for n in 0 1 2 3 4; do
        echo "count$n:$((1000 + $#))"
    done
}
