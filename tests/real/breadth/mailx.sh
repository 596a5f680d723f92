# mailx: deletes a message from an mbox
needs='mailx'
size=100
setup()
{
    old_names | sed 's/.*/From nobody Mon Jan  1 00:00:00 2024\nSubject: &\n\nHello.\n/' \
        >"$TABLE/mbox"
    mkdir "$WORK/home"
}
operation()
{
    export HOME=$WORK/home MAILRC=/dev/null TMPDIR=$WORK/home
    run mailx -n -f "$TABLE/mbox" <<<"d /$(victim "$1")"$'\nq'
}
list()
{
    sed -n 's/^Subject: //p' "$TABLE/mbox"
}
expected()
{
    local worker
    for worker; do
        victim "$worker"
    done >"$WORK/victims"
    old_names | grep -vxFf "$WORK/victims"
}
right='process'
