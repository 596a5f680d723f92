# find TABLE -exec sed -i ... {} +
needs='find sed'
size=40
setup()
{
    local name
    for name in $(old_names); do
        mkdir -p "$TABLE/${name%?}"
        echo start >"$TABLE/${name%?}/$name.txt"
    done
}
operation()
{
    run find "$TABLE" -type f -name '*.txt' -exec sed -i "\$a by$1" {} +
}
list()
{
    (cd "$TABLE" && grep -r . | sed 's,.*/,,;s/.txt:/ /')
}
expected()
{
    local name worker
    for name in $(old_names); do
        echo "$name start"
        for worker; do
            echo "$name by$worker"
        done
    done
}
