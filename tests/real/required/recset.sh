# GNU recutils: recset changes a field of one record, the whole file is written anew
needs='recset recsel'
right='process'
refused='session'
size=400
setup()
{
    old_names | sed 's/.*/Name: &\nState: unchanged\n/' | sed '1i%rec: item\n' >"$TABLE/items.rec"
}
operation()
{
    run recset -t item -e "Name = '$(victim "$1")'" -f State -s "by$1" "$TABLE/items.rec"
}
list()
{
    recsel -C -t item -R Name,State "$TABLE/items.rec" | grep .
}
expected()
{
    local worker
    for worker; do
        echo "$(victim "$worker") by$worker"
        victim "$worker" >&3
    done 3>"$WORK/changed"
    old_names | grep -vxFf "$WORK/changed" | sed 's/$/ unchanged/'
}
