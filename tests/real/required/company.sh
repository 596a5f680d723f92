# Mixed company: guarded programs beside flock(1) and a Python script with fcntl.flock
needs='perl flock /usr/bin/python3'
right='process'
prepare()
{
    script locked.py <<'PYTHON'
import fcntl, sys

lock, path = sys.argv[1:]
with open(lock, 'w') as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    with open(path) as file:
        number = int(file.read())
    with open(path, 'w') as file:
        print(number + 1, file=file)
PYTHON
}
setup()
{
    echo 1000 >"$TABLE/count"
}
operation()
{
    local count=(perl -i -pe 's/(\d+)/$1 + 1/e' "$TABLE/count")
    case $(($1 % 3)) in
    0) run "${count[@]}" ;;
    1) exec flock "$TABLE.lock" "${count[@]}" ;;
    2) exec /usr/bin/python3 "$WORK/locked.py" "$TABLE.lock" "$TABLE/count" ;;
    esac
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
