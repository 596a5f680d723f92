# htpasswd: adds a user to a password file, and removes one
needs='htpasswd'
right='process'
refused='session'
size=2000
setup()
{
    old_names | sed 's/$/:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=/' >"$TABLE/passwords"
}
insert()
{
    run htpasswd -b -s "$TABLE/passwords" "$1" secret
}
delete()
{
    run htpasswd -D "$TABLE/passwords" "$1"
}
list()
{
    cut -d: -f1 "$TABLE/passwords"
}
