# augtool: adds a host to a hosts file
needs='augtool'
right='process'
size=300
setup()
{
    mkdir "$TABLE/etc" && old_names | sed 's/^/10.0.0.1 /' >"$TABLE/etc/hosts"
}
insert()
{
    run augtool -A -r "$TABLE" -t 'Hosts incl /etc/hosts' -s <<<"
set /files/etc/hosts/01/ipaddr 10.0.0.2
set /files/etc/hosts/01/canonical $1"
}
delete()
{
    run augtool -A -r "$TABLE" -t 'Hosts incl /etc/hosts' -s \
        rm "/files/etc/hosts/*[canonical = '$1']"
}
list()
{
    augtool -A -r "$TABLE" -t 'Hosts incl /etc/hosts' \
        print '/files/etc/hosts/*/canonical' | cut -d'"' -f2
}
