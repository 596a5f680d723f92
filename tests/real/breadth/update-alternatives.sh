# update-alternatives: adds an alternative, the record is written beside and renamed into place
needs='update-alternatives'
right='process'
size=100
PATH=$PATH:/sbin:/usr/sbin
prepare()
{
    local n
    mkdir "$WORK/files" && cd "$WORK/files" &&
        for n in $(old_names) $(seq -f 'new%02g' "$WORKERS"); do echo >"$n"; done
}
setup()
{
    local name n=0
    mkdir "$TABLE/alt" "$TABLE/admin" &&
        {
            printf 'auto\n%s\n\n' "$TABLE/link"
            for name in $(old_names); do
                printf '%s\n%d\n' "$WORK/files/$name" $((n += 1))
            done
            echo
        } >"$TABLE/admin/editor" && ln -s "$WORK/files/old0100" "$TABLE/alt/editor" &&
        ln -s "$TABLE/alt/editor" "$TABLE/link"
}
insert()
{
    run update-alternatives --quiet --altdir "$TABLE/alt" --admindir "$TABLE/admin" \
        --log /dev/null --install "$TABLE/link" editor "$WORK/files/$1" 5
}
delete()
{
    run update-alternatives --quiet --altdir "$TABLE/alt" --admindir "$TABLE/admin" \
        --log /dev/null --remove editor "$WORK/files/$1"
}
list()
{
    update-alternatives --altdir "$TABLE/alt" --admindir "$TABLE/admin" --list editor |
        sed 's,.*/,,'
}
