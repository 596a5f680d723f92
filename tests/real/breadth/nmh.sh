# nmh: rcvstore files a message under the next free number, rmm deletes one
needs='mkdir'
size=100
PATH=$PATH:/usr/bin/mh:/usr/lib/mh:/usr/libexec/nmh
available()
{
    command -v rcvstore && command -v mark
}
setup()
{
    local name n=0
    printf 'Path: %s\n' "$TABLE" >"$TABLE/profile"
    mkdir "$TABLE/inbox"
    for name in $(old_names); do
        n=$((n + 1))
        printf 'Subject: %s\n\nHello.\n' "$name" >"$TABLE/inbox/$n"
    done
    MH=$TABLE/profile mark -sequence old all +inbox
}
insert()
{
    export MH=$TABLE/profile
    run rcvstore +inbox -sequence arrived <<<"Subject: $1"$'\n\nHello.'
}
list()
{
    MH=$TABLE/profile scan -format '%{subject}' +inbox all &&
        MH=$TABLE/profile scan -format 'arrived %{subject}' +inbox arrived
}
expected()
{
    local worker
    old_names
    for worker; do
        new_names "$worker"
        echo "arrived $(new_names "$worker")"
    done
}
right='process'
