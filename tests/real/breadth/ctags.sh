# Universal Ctags: appends a source file's tags and sorts the tag file anew
needs='ctags'
size=1000
available()
{
    ctags --version | grep -q Universal
}
prepare()
{
    local n
    mkdir "$WORK/files"
    for ((n = 1; n <= WORKERS; n++)); do
        echo "int $(new_names "$n");" >"$WORK/files/$(new_names "$n").c"
    done
}
setup()
{
    old_names | sed 's/.*/int &;/' >"$WORK/files/old.c"
    ctags -f "$TABLE/tags" "$WORK/files/old.c"
}
insert()
{
    run ctags --append=yes -f "$TABLE/tags" "$WORK/files/$1.c"
}
list()
{
    grep -v '^!' "$TABLE/tags" | cut -f1
}
