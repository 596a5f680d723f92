# Python's mailbox: a message is taken out of an mbox, the others are copied
needs='/usr/bin/python3'
right='process'
size=150
prepare()
{
    script store.py <<'PYTHON'
import mailbox, sys

path, act, name = sys.argv[1:]
box = mailbox.mbox(path)
if act == 'insert':
    box.add('Subject: %s\n\nHello.\n' % name)
elif act == 'delete':
    box.remove([key for key, mail in box.items() if mail['subject'] == name][0])
else:
    for mail in box:
        print(mail['subject'])
box.close()
PYTHON
}
setup()
{
    old_names | sed 's/.*/From nobody Mon Jan  1 00:00:00 2024\nSubject: &\n\nHello.\n/' \
        >"$TABLE/mbox"
}
insert()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/mbox" insert "$1"
}
delete()
{
    run /usr/bin/python3 "$WORK/store.py" "$TABLE/mbox" delete "$1"
}
list()
{
    /usr/bin/python3 "$WORK/store.py" "$TABLE/mbox" list -
}
