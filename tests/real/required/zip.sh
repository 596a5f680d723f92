# zip: adds to an archive and deletes from it; both write it anew and rename it into place
needs='zip unzip'
right='process'
size=400
prepare()
{
    local name
    mkdir "$WORK/files" && cd "$WORK/files" || return
    for name in $(old_names) $(seq -f 'new%02g' "$WORKERS"); do
        echo "content of $name" >"$name"
    done
}
setup()
{
    (cd "$WORK/files" && zip -q "$TABLE/archive.zip" old*)
}
insert()
{
    cd "$WORK/files" && run zip -q "$TABLE/archive.zip" "$1"
}
delete()
{
    run zip -q -d "$TABLE/archive.zip" "$1"
}
list()
{
    unzip -tqq "$TABLE/archive.zip" && unzip -Z1 "$TABLE/archive.zip"
}
