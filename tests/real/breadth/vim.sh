# vim -es: an editor that looks with stat and access before it opens
needs='vim'
right='process'
setup()
{
    old_names >"$TABLE/items"
    mkdir "$WORK/home"
}
insert()
{
    export HOME=$WORK/home
    run vim -u NONE -es -c "\$put ='$1'" -c wq "$TABLE/items"
}
delete()
{
    export HOME=$WORK/home
    run vim -u NONE -es -c "g/^$1\$/d" -c wq "$TABLE/items"
}
list()
{
    cat "$TABLE/items"
}
