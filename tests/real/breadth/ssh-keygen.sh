# ssh-keygen -R: removes a host from known_hosts
needs='ssh-keygen'
right='process'
prepare()
{
    ssh-keygen -q -t ed25519 -N '' -f "$WORK/key"
}
setup()
{
    old_names | sed "s,\$, $(cut -d' ' -f1,2 "$WORK/key.pub")," >"$TABLE/known_hosts"
}
operation()
{
    run ssh-keygen -q -R "$(victim "$1")" -f "$TABLE/known_hosts"
}
list()
{
    cut -d' ' -f1 "$TABLE/known_hosts"
}
expected()
{
    local worker
    for worker; do
        victim "$worker"
    done >"$WORK/victims"
    old_names | grep -vxFf "$WORK/victims"
}
