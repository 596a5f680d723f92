# Python: a JSON file, loaded and dumped
needs='/usr/bin/python3 jq'
right='process'
refused='session'
prepare()
{
    script store.py <<'PYTHON'
import json, sys

path, act, name = sys.argv[1:]
with open(path) as file:
    items = json.load(file)
if act == 'insert':
    items.append(name)
else:
    items.remove(name)
with open(path, 'w') as file:
    json.dump(items, file)
PYTHON
}
setup()
{
    old_names | jq -R . | jq -s . >"$TABLE/items.json"
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/items.json" insert "$1"
}
delete()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/items.json" delete "$1"
}
list()
{
    jq -r '.[]' "$TABLE/items.json"
}
