# Python's zipfile: appends a member, the directory at the end is overwritten
needs='/usr/bin/python3 unzip'
right='process session'
size=200
prepare()
{
    script store.py <<'PYTHON'
import sys, zipfile

path, *names = sys.argv[1:]
with zipfile.ZipFile(path, 'a') as archive:
    for name in names or sys.stdin.read().split():
        archive.writestr(name, 'content of ' + name)
PYTHON
}
setup()
{
    old_names | /usr/bin/python3 "$WORK/store.py" "$TABLE/archive.zip"
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/archive.zip" "$1"
}
list()
{
    unzip -tqq "$TABLE/archive.zip" && unzip -Z1 "$TABLE/archive.zip"
}
