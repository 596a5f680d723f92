# jq ... >tmp && mv tmp db.json, in bash
needs='jq bash'
size=400
prepare()
{
    script change <<'SH'
case $2 in
insert) filter='.[$name] = {}' ;;
delete) filter='if has($name) then del(.[$name]) else error("none") end' ;;
esac
jq --arg name "$3" "$filter" "$1/db.json" >"$1/tmp.$$" && mv "$1/tmp.$$" "$1/db.json"
SH
}
setup()
{
    old_names | jq -R '{(.): {}}' | jq -s add >"$TABLE/db.json"
}
insert()
{
    run bash "$WORK/change" "$TABLE" insert "$1"
}
delete()
{
    run bash "$WORK/change" "$TABLE" delete "$1"
}
list()
{
    jq -r 'keys[]' "$TABLE/db.json"
}
