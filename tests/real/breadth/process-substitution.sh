# bash: what is written to >(...) arrives when the shell itself may have ended
needs='bash'
prepare()
{
    script count <<'BASH'
#!/bin/bash
n=$(<"$1/count")
echo $((n + 1)) > >(cat >"$1/count")
BASH
}
setup()
{
    echo 1000 >"$TABLE/count"
}
operation()
{
    run "$WORK/count" "$TABLE"
}
settle()
{
    sleep 0.3
}
list()
{
    cat "$TABLE/count"
}
expected()
{
    echo $((1000 + $#))
}
