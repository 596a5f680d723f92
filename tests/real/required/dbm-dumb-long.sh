# Python's dbm.dumb in long-lived processes that open, change and close again and again
needs='/usr/bin/python3'
right='process'
refused='session'
size=400
cycles=2
prepare()
{
    script store.py <<'PYTHON'
import dbm.dumb, sys, time

path, act, *names = sys.argv[1:]
if act == 'insert':
    for name in names:
        with dbm.dumb.open(path, 'c') as db:
            db[name] = b'value of ' + name.encode()
        time.sleep(0.002)
else:
    with dbm.dumb.open(path, 'c') as db:
        if act == 'make':
            for name in sys.stdin.read().split():
                db[name] = b'value of ' + name.encode()
        for name in db.keys():
            assert db[name] == b'value of ' + name, (name, db[name])
            print(name.decode())
PYTHON
}
setup()
{
    old_names | /usr/bin/python3 "$WORK/store.py" "$TABLE/db" make
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/db" insert "$@"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/db" list
}
