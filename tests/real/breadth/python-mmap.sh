# Python: counters in a shared mapping, which stays when the descriptor has been closed
needs='/usr/bin/python3'
right='process session'
prepare()
{
    script store.py <<'PYTHON'
import mmap, sys, time

with open(sys.argv[1], 'r+b') as file:
    memory = mmap.mmap(file.fileno(), 0)
numbers = memoryview(memory).cast('I')
for i in range(len(numbers)):
    number = numbers[i]
    if i % 100 == 0:
        time.sleep(0.0002)
    numbers[i] = number + 1
numbers.release()
memory.close()
PYTHON
}
setup()
{
    head -c 4000 /dev/zero >"$TABLE/counters"
}
operation()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/counters"
}
list()
{
    od -An -v -w4 -tu4 "$TABLE/counters" | tr -d ' ' | sort | uniq -c | tr -s ' '
}
expected()
{
    echo " 1000 $#"
}
