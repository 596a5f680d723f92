# git config: a lock file of its own, and a failure when it is there
needs='git'
right='process'
setup()
{
    { echo '[list]' && old_names | sed 's/^/name = /'; } >"$TABLE/config"
}
insert()
{
    run git config -f "$TABLE/config" --add list.name "$1"
}
delete()
{
    run git config -f "$TABLE/config" --unset list.name "$1"
}
list()
{
    git config -f "$TABLE/config" --get-all list.name
}
