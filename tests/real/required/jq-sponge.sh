# jq ... db.json | sponge db.json
needs='jq sponge'
size=400
prepare()
{
    script change <<'SH'
#!/bin/sh
case $2 in
insert) filter='.[$name] = {}' ;;
delete) filter='if has($name) then del(.[$name]) else error("none") end' ;;
esac
jq --arg name "$3" "$filter" "$1/db.json" | sponge "$1/db.json"
SH
}
setup()
{
    old_names | jq -R '{(.): {}}' | jq -s add >"$TABLE/db.json"
}
insert()
{
    run "$WORK/change" "$TABLE" insert "$1"
}
delete()
{
    run "$WORK/change" "$TABLE" delete "$1"
}
list()
{
    jq -r 'keys[]' "$TABLE/db.json"
}
