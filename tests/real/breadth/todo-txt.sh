# todo.txt: a shell script that adds lines, and deletes them by sed -i
needs='todo-txt'
size=100
setup()
{
    old_names >"$TABLE/todo.txt"
    cat >"$TABLE/config" <<CONFIG
export TODO_DIR=$TABLE TODO_FILE=$TABLE/todo.txt DONE_FILE=$TABLE/done.txt
export REPORT_FILE=$TABLE/report.txt TODOTXT_PRESERVE_LINE_NUMBERS=1
CONFIG
}
insert()
{
    run todo-txt -d "$TABLE/config" add "$1"
}
delete()
{
    run todo-txt -f -d "$TABLE/config" del $((10#${1#old}))
}
list()
{
    grep . "$TABLE/todo.txt"
}
