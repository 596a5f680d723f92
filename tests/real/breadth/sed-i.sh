# sed -i
needs='sed'
right='process'
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run sed -i "\$a $1" "$TABLE/items"
}
delete()
{
    run sed -i "/^$1\$/d" "$TABLE/items"
}
list()
{
    cat "$TABLE/items"
}
