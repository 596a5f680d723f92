# yq: changes a YAML file in place, by way of jq
needs='yq'
slow=yes
size=100
setup()
{
    old_names | sed 's/$/: 1/' >"$TABLE/items.yaml"
}
insert()
{
    run yq -i -y ".$1 = 1" "$TABLE/items.yaml"
}
delete()
{
    run yq -i -y "del(.$1)" "$TABLE/items.yaml"
}
list()
{
    yq -r 'keys[]' "$TABLE/items.yaml"
}
