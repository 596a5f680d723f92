# xmlstarlet: inserts and deletes elements in place
needs='xmlstarlet'
right='process'
refused='session'
setup()
{
    { echo '<items>' && old_names | sed 's,.*,<item>&</item>,' && echo '</items>'; } \
        >"$TABLE/items.xml"
}
insert()
{
    run xmlstarlet ed -L -s /items -t elem -n item -v "$1" "$TABLE/items.xml"
}
delete()
{
    run xmlstarlet ed -L -d "/items/item[. = '$1']" "$TABLE/items.xml"
}
list()
{
    xmlstarlet sel -t -m /items/item -v . -n "$TABLE/items.xml"
}
