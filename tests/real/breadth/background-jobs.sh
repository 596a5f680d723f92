# A shell with jobs in the background, a coprocess and a here document
needs='bash'
prepare()
{
    script work <<'BASH'
#!/bin/bash
raise()
{
    local n
    n=$(<"$1")
    echo $((n + 1)) >"$1"
}
cd "$1" || exit
raise a &
raise b &
wait
coproc { read -r line; echo "$line $(<a)" >>log; }
cat <<END >&"${COPROC[1]}"
$2
END
wait
BASH
}
setup()
{
    echo 1000 >"$TABLE/a"
    echo 1000 >"$TABLE/b"
}
insert()
{
    run "$WORK/work" "$TABLE" "$1"
}
list()
{
    (cd "$TABLE" && grep . a b) && cut -d' ' -f1 "$TABLE/log" && cut -d' ' -f2 "$TABLE/log"
}
expected()
{
    local worker n=1000
    echo "a:$((1000 + $#))"
    echo "b:$((1000 + $#))"
    for worker; do
        new_names "$worker"
        echo $((n += 1)) # each has seen a number of its own
    done
}
