# Python's dbm.dumb: the index is read at the start, appended to, and written anew at the end
needs='/usr/bin/python3'
right='process'
refused='session'
size=400
prepare()
{
    script store.py <<'PYTHON'
import dbm.dumb, sys

path, act, *names = sys.argv[1:]
with dbm.dumb.open(path, 'c') as db:
    for name in names or sys.stdin.read().split():
        if act == 'insert':
            db[name] = b'value of ' + name.encode()
        elif act == 'delete':
            del db[name]
    if act == 'list':
        for name in db.keys():
            assert db[name] == b'value of ' + name, (name, db[name])
            print(name.decode())
PYTHON
}
setup()
{
    old_names | /usr/bin/python3 "$WORK/store.py" "$TABLE/db" insert
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/db" insert "$1"
}
delete()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/db" delete "$1"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/db" list </dev/null
}
