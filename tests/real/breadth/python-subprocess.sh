# Python: holds a file open and reads the table through the pipe of a child process
needs='/usr/bin/python3 sort'
right='process session'
prepare()
{
    script store.py <<'PYTHON'
import subprocess, sys

path, name = sys.argv[1:]
with open(path, 'r+') as file:
    ordered = subprocess.run(['sort', '-r', path], check=True, capture_output=True, text=True)
    lines = ordered.stdout.split()
    lines.append(name)
    file.write('\n'.join(lines) + '\n')
PYTHON
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/items" "$1"
}
list()
{
    cat "$TABLE/items"
}
