# taskwarrior: adds a task, and deletes one
needs='task jq'
right='process'
size=200
setup()
{
    echo "data.location=$TABLE" >"$TABLE/taskrc"
    old_names | jq -cR '{description: .}' |
        task rc:"$TABLE/taskrc" rc.verbose=nothing rc.hooks=off import -
}
insert()
{
    run task rc:"$TABLE/taskrc" rc.hooks=off rc.gc=off add "$1"
}
delete()
{
    run task rc:"$TABLE/taskrc" rc.hooks=off rc.gc=off rc.confirmation=off "/$1/" delete
}
list()
{
    task rc:"$TABLE/taskrc" rc.hooks=off rc.verbose=nothing status:pending export |
        jq -r '.[].description'
}
