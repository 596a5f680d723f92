# tail -f under the scope call beside writers: followers see every line and starve nobody
needs='tail timeout sed'
setup()
{
    old_names >"$TABLE/log"
    echo 0 >"$TABLE/count"
}
prepare()
{
    script add <<'SH'
#!/bin/sh
n=$(cat "$1/count")
sleep 0.005
echo "$2" >>"$1/log"
echo $((n + 1)) >"$1/count"
SH
}
# Workers 1 to 5 follow the log until all lines of the others are there.
operation()
{
    local follower=(timeout 30 sh -c 'tail -n +1 -f "$1" | sed -u "$2q"' follow "$TABLE/log"
        $((size + WORKERS - 5)))
    if (($1 > 5)); then
        run "$WORK/add" "$TABLE" "$(new_names "$1")"
    fi
    case $guard in
    none | flock) exec "${follower[@]}" ;;
    *)
        export LOCKSHIM_TABLE=$TABLE LOCKSHIM_SCOPE=call
        LD_PRELOAD=$BUILD/liblockshim.so exec "${follower[@]}"
        ;;
    esac
}
settle()
{
    # tail ends at the next line that nobody reads
    sleep 0.1
    echo end >>"$TABLE/log"
    sleep 0.2
}
list()
{
    local i
    cat "$TABLE/count" && grep -v end "$TABLE/log"
    for i in 1 2 3 4 5; do
        sed "s/^/follower $i: /" "$WORK/out/$i"
    done
}
expected()
{
    local worker lines writers=0
    lines=$(
        old_names
        for worker; do
            ((worker <= 5)) || new_names "$worker"
        done
    )
    echo "$lines"
    for worker; do
        if ((worker <= 5)); then
            sed "s/^/follower $worker: /" <<<"$lines"
        else
            writers=$((writers + 1))
        fi
    done
    echo "$writers"
}
size=100
limit=45
