# A statically linked shell, as the command and within it
needs='bash-static'
setup()
{
    echo 1000 >"$TABLE/count"
}
operation()
{
    run bash-static -c 'read -r n <"$1"; bash-static -c "echo $((n + 1)) >\"\$1\"" - "$1"' - \
        "$TABLE/count"
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
