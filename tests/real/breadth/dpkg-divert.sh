# dpkg-divert: adds and removes diversions in a database of its own
needs='dpkg-divert'
right='process'
size=300
setup()
{
    local name
    for name in $(old_names); do
        printf '/nowhere/%s\n/nowhere/%s.distrib\n:\n' "$name" "$name"
    done >"$TABLE/diversions"
    mkdir "$TABLE/info" "$TABLE/updates" && touch "$TABLE/status"
}
insert()
{
    run dpkg-divert --admindir "$TABLE" --quiet --no-rename --local --add "/nowhere/$1"
}
delete()
{
    run dpkg-divert --admindir "$TABLE" --quiet --no-rename --local --remove "/nowhere/$1"
}
list()
{
    dpkg-divert --admindir "$TABLE" --list | sed 's,.*/nowhere/\(.*\) to .*,\1,'
}
