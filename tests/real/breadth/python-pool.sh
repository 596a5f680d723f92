# Python's multiprocessing: a pool of forked processes, each raises a counter of its own
needs='/usr/bin/python3'
slow=yes
prepare()
{
    script store.py <<'PYTHON'
import multiprocessing, os, sys

def raise_counter(path):
    with open(path) as file:
        number = int(file.read())
    with open(path, 'w') as file:
        print(number + 1, file=file)

if __name__ == '__main__':
    directory = sys.argv[1]
    paths = [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
    with multiprocessing.get_context('fork').Pool(3) as pool:
        pool.map(raise_counter, paths)
PYTHON
}
setup()
{
    local n
    for n in 0 1 2 3 4 5; do
        echo 1000 >"$TABLE/count$n"
    done
}
operation()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE"
}
list()
{
    (cd "$TABLE" && grep . count*)
}
expected()
{
    local n
    for n in 0 1 2 3 4 5; do
        echo "count$n:$((1000 + $#))"
    done
}
