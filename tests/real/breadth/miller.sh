# Miller: changes a CSV file in place; a Go program, which no preload reaches
needs='mlr'
setup()
{
    { echo name,value && old_names | sed 's/$/,1/'; } >"$TABLE/items.csv"
}
insert()
{
    run mlr -I --csv put "end { @r[\"name\"] = \"$1\"; @r[\"value\"] = 1; emit @r }" \
        "$TABLE/items.csv"
}
delete()
{
    run mlr -I --csv filter "\$name != \"$1\"" "$TABLE/items.csv"
}
list()
{
    mlr --icsv --onidx cut -f name "$TABLE/items.csv"
}
