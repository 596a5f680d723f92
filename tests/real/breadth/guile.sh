# Guile: an expression read from a file and written back
needs='guile'
slow=yes
right='process'
prepare()
{
    script store.scm <<'SCHEME'
(define path (cadr (command-line)))
(define act (caddr (command-line)))
(define name (string->symbol (cadddr (command-line))))
(define items (call-with-input-file path read))
(define changed (if (string=? act "insert") (cons name items) (delq name items)))
(call-with-output-file path (lambda (port) (write changed port) (newline port)))
SCHEME
    export GUILE_AUTO_COMPILE=0
}
setup()
{
    { echo '(' && old_names && echo ')'; } >"$TABLE/items"
}
insert()
{
    run guile -s "$WORK/store.scm" "$TABLE/items" insert "$1"
}
delete()
{
    run guile -s "$WORK/store.scm" "$TABLE/items" delete "$1"
}
list()
{
    tr '()' '  ' <"$TABLE/items" | xargs -n 1 echo
}
