# gawk -i inplace
needs='gawk'
right='process'
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run gawk -i inplace -v name="$1" '{ print } END { }
        ENDFILE { print name }' "$TABLE/items"
}
delete()
{
    run gawk -i inplace -v name="$1" '$0 != name' "$TABLE/items"
}
list()
{
    cat "$TABLE/items"
}
