# Python's shelve in long-lived processes: each object is a counter that all of them raise
needs='/usr/bin/python3'
right='process'
size=400
cycles=2
prepare()
{
    script store.py <<'PYTHON'
import dbm.dumb, shelve, sys, time

path, act, cycles = sys.argv[1:]
if act == 'make':
    with shelve.Shelf(dbm.dumb.open(path, 'n')) as shelf:
        for name in sys.stdin.read().split():
            shelf[name] = 0
elif act == 'raise':
    for cycle in range(int(cycles)):
        with shelve.open(path) as shelf:
            shelf['counter%d' % (cycle % 2)] += 1
        time.sleep(0.002)
else:
    with shelve.open(path) as shelf:
        for name, value in shelf.items():
            print(name, value)
PYTHON
}
setup()
{
    { old_names && echo counter0 counter1; } |
        /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" make 0
}
operation()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" raise "$cycles"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/shelf" list 0
}
expected()
{
    old_names | sed 's/$/ 0/'
    echo "counter0 $(($# * cycles / 2))"
    echo "counter1 $(($# * cycles / 2))"
}
