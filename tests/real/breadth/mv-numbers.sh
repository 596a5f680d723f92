# A spool that gives each file the next number: ls, cp and mv
prepare()
{
    script store <<'SH'
#!/bin/sh
last=$(ls "$1" | sort -n | tail -n 1)
echo "$2" >"$1/.tmp.$$"
mv "$1/.tmp.$$" "$1/$((last + 1))"
SH
}
setup()
{
    local name n=0
    for name in $(old_names); do
        n=$((n + 1))
        echo "$name" >"$TABLE/$n"
    done
}
insert()
{
    run "$WORK/store" "$TABLE" "$1"
}
list()
{
    cat "$TABLE"/*
}
