# A Go program, dynamically linked to libc by cgo, as the command itself
available()
{
    test -x "$BUILD/real/counter-cgo"
}
setup()
{
    echo 0 >"$TABLE/count"
}
operation()
{
    run "$BUILD/real/counter-cgo" "$TABLE/count"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $#
}
