# A statically linked program as the command itself
available()
{
    test -x "$BUILD/real/counter-static"
}
setup()
{
    echo 0 >"$TABLE/count"
}
operation()
{
    run "$BUILD/real/counter-static" "$TABLE/count"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $#
}
