# ed
needs='ed'
right='process'
refused='session'
size=5000
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run ed -s "$TABLE/items" <<<"\$a
$1
.
w
q"
}
delete()
{
    run ed -s "$TABLE/items" <<<"/^$1\$/d
w
q"
}
list()
{
    cat "$TABLE/items"
}
