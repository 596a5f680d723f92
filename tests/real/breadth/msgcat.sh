# gettext: msgcat joins a message into a catalogue
needs='msgcat'
right='process'
refused='session'
size=300
prepare()
{
    local n
    mkdir "$WORK/files"
    for ((n = 1; n <= WORKERS; n++)); do
        printf 'msgid "%s"\nmsgstr "x"\n' "$(new_names "$n")" >"$WORK/files/$(new_names "$n")"
    done
}
setup()
{
    old_names | sed 's/.*/msgid "&"\nmsgstr "x"\n/' >"$TABLE/catalogue.po"
}
insert()
{
    run msgcat -o "$TABLE/catalogue.po" "$TABLE/catalogue.po" "$WORK/files/$1"
}
list()
{
    msgcat "$TABLE/catalogue.po" | sed -n 's/^msgid "\(.*\)"/\1/p'
}
