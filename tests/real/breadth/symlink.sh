# A counter in a symbolic link: readlink and ln -sf
prepare()
{
    script count <<'SH'
#!/bin/sh
n=$(readlink "$1/count")
ln -sfn $((n + 1)) "$1/count"
SH
}
setup()
{
    ln -s 1000 "$TABLE/count"
}
operation()
{
    run "$WORK/count" "$TABLE"
}
list()
{
    readlink "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
