# perl -i
needs='perl'
right='process'
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run perl -i -pe "print \"$1\\n\" if \$. == 1" "$TABLE/items"
}
delete()
{
    run perl -i -ne "print if \$_ ne \"$1\\n\"" "$TABLE/items"
}
list()
{
    cat "$TABLE/items"
}
