# abook: adds an address from a mail on standard input, the address book is written anew
needs='abook'
right='process'
size=300
setup()
{
    local name n=0
    {
        printf '[format]\nprogram=abook\nversion=0.6.1\n\n'
        old_names | while read -r name; do
            printf '[%d]\nname=%s\nemail=%s@example.org\n\n' $((n++)) "$name" "$name"
        done
    } >"$TABLE/addressbook"
    mkdir "$WORK/home"
}
insert()
{
    export HOME=$WORK/home
    run abook --datafile "$TABLE/addressbook" --add-email-quiet \
        <<<"From: $1 <$1@example.org>"$'\n\nHello.'
}
list()
{
    HOME=$WORK/home abook --convert --infile "$TABLE/addressbook" --informat abook \
        --outformat mutt | awk '{ print $3 }'
}
