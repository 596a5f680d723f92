# Python's shelve: pickled objects in a dbm.dumb
needs='/usr/bin/python3'
right='process'
refused='session'
size=500
prepare()
{
    script store.py <<'PYTHON'
import dbm.dumb, shelve, sys

path, act, *names = sys.argv[1:]
if act == 'make':
    with shelve.Shelf(dbm.dumb.open(path, 'n')) as shelf:
        for name in sys.stdin.read().split():
            shelf[name] = {'name': name, 'tags': ['a', 'b']}
    sys.exit()
with shelve.open(path) as shelf:
    for name in names:
        if act == 'insert':
            shelf[name] = {'name': name, 'tags': ['a', 'b']}
        else:
            del shelf[name]
    if act == 'list':
        for name, value in shelf.items():
            assert value['name'] == name
            print(name)
PYTHON
}
setup()
{
    old_names | /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" make
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" insert "$1"
}
delete()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" delete "$1"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" list
}
