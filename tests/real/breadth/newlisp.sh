# newLISP: a context loaded from a file and saved to it
needs='newlisp'
right='process'
prepare()
{
    script store.lsp <<'LISP'
(set 'path (main-args 2) 'act (main-args 3) 'name (main-args 4))
(set 'items (parse (read-file path) "\n"))
(if (= act "insert") (push name items -1) (replace name items))
(write-file path (join (clean empty? items) "\n"))
(exit)
LISP
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    run newlisp "$WORK/store.lsp" "$TABLE/items" insert "$1"
}
delete()
{
    run newlisp "$WORK/store.lsp" "$TABLE/items" delete "$1"
}
list()
{
    cat "$TABLE/items" && echo
}
