# git: adds to the index; it has lock files of its own, and fails when they are there
needs='git'
right='process'
setup()
{
    local blob
    git init -q "$TABLE/repo" && cd "$TABLE/repo" &&
        blob=$(echo content | git hash-object -w --stdin) &&
        old_names | sed "s/^/100644 $blob\t/" | git update-index --index-info
}
insert()
{
    cd "$TABLE/repo" &&
        run git update-index --add --cacheinfo "100644,d95f3ad14dee633a758d2e331151e950dd13e4ed,$1"
}
delete()
{
    cd "$TABLE/repo" && run git update-index --force-remove "$1"
}
list()
{
    git -C "$TABLE/repo" ls-files
}
