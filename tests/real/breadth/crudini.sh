# crudini: sets and deletes keys of an INI file, which it flocks by itself
needs='crudini'
locks=yes
right='process'
size=200
setup()
{
    {
        echo '[names]'
        old_names | sed 's/$/ = yes/'
    } >"$TABLE/settings.ini"
}
insert()
{
    run crudini --set "$TABLE/settings.ini" names "$1" yes
}
delete()
{
    run crudini --del "$TABLE/settings.ini" names "$1"
}
list()
{
    crudini --get "$TABLE/settings.ini" names
}
