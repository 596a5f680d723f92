# sort TABLE/a | tee TABLE/b, then b becomes a: both ends of the pipe are in the table
needs='sort tee'
prepare()
{
    script change <<'SH'
#!/bin/sh
echo "$2" | sort - "$1/a" | tee "$1/b" >/dev/null
cp "$1/b" "$1/a"
SH
}
setup()
{
    old_names >"$TABLE/a"
}
insert()
{
    run "$WORK/change" "$TABLE" "$1"
}
list()
{
    cat "$TABLE/a"
}
