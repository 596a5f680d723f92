# A script that ends before its background job, which writes what the script has read
prepare()
{
    script count <<'SH'
#!/bin/sh
n=$(cat "$1/count")
{
    sleep 0.01
    echo $((n + 1)) >"$1/count"
} &
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
settle()
{
    while [ -n "$(ours)" ]; do
        sleep 0.1
    done
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
