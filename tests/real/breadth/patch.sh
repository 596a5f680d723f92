# patch: each applies a change of its own to one file
needs='patch diff'
right='process'
prepare()
{
    local n
    mkdir "$WORK/files"
    old_names >"$WORK/before"
    for ((n = 1; n <= WORKERS; n++)); do
        sed "s/^$(victim "$n")\$/$(new_names "$n")/" "$WORK/before" |
            diff -u "$WORK/before" - >"$WORK/files/$n"
    done
    return 0
}
setup()
{
    old_names >"$TABLE/items"
}
operation()
{
    run patch -s "$TABLE/items" "$WORK/files/$1"
}
list()
{
    cat "$TABLE/items"
}
expected()
{
    local worker
    for worker; do
        victim "$worker"
    done >"$WORK/victims"
    old_names | grep -vxFf "$WORK/victims"
    for worker; do
        new_names "$worker"
    done
}
