# A program linked to another libc, musl
needs='musl-gcc'
prepare()
{
    musl-gcc -O2 -D_GNU_SOURCE -o "$WORK/counter" "$HERE/src/counter.c"
}
setup()
{
    echo 1000 >"$TABLE/count"
}
operation()
{
    run "$WORK/counter" "$TABLE/count"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
