# TinyDB in long-lived processes: the file stays open while documents are read and written
needs='/usr/bin/python3'
right='process session'
size=200
cycles=2
available()
{
    /usr/bin/python3 -c 'import tinydb'
}
prepare()
{
    script store.py <<'PYTHON'
import sys, time
from tinydb import TinyDB, where

path, act, *names = sys.argv[1:]
if act == 'make':
    with TinyDB(path) as db:
        db.insert_multiple({'name': name} for name in sys.stdin.read().split())
elif act == 'list':
    with TinyDB(path) as db:
        for document in db.all():
            print(document['name'])
else:
    victim, *names = names
    for name in names:
        with TinyDB(path) as db:
            db.remove(where('name') == victim)
            db.insert({'name': name})
        time.sleep(0.002)
PYTHON
}
setup()
{
    old_names | /usr/bin/python3 "$WORK/store.py" "$TABLE/db.json" make
}
operation()
{
    local names
    mapfile -t names < <(new_names "$1")
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/db.json" change "$(victim "$1")" "${names[@]}"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/db.json" list
}
expected()
{
    local worker
    for worker; do
        victim "$worker"
    done >"$WORK/victims"
    old_names | grep -vxFf "$WORK/victims"
    for worker; do
        new_names "$worker"
    done
}
