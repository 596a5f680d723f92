# RCS: gives a revision a symbolic name; the archive is written anew
needs='rcs ci rlog'
size=200
setup()
{
    local name arguments=()
    for name in $(old_names); do
        arguments+=("-n$name:1.1")
    done
    cd "$TABLE" && echo text >file && ci -q -u -t-test file && rcs -q "${arguments[@]}" file
}
insert()
{
    cd "$TABLE" && run rcs -q "-n$1:1.1" file,v
}
delete()
{
    cd "$TABLE" && run rcs -q "-n$1" file,v
}
list()
{
    (cd "$TABLE" && rlog -h file) | sed -n '/^symbolic names:/,/^keyword/s/^\t\(.*\): .*/\1/p'
}
right='process'
