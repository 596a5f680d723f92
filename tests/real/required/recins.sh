# GNU recutils: recins and recdel read the file, write it anew and rename it into place
needs='recins recdel recsel'
right='process'
refused='session'
size=400
setup()
{
    old_names | sed 's/.*/Name: &\nColour: green\n/' | sed '1i%rec: item\n' >"$TABLE/items.rec"
}
insert()
{
    run recins -t item -f Name -v "$1" -f Colour -v red "$TABLE/items.rec"
}
delete()
{
    run recdel -t item -e "Name = '$1'" "$TABLE/items.rec"
}
list()
{
    recsel -C -t item -P Name "$TABLE/items.rec" | grep .
}
