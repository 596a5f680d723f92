# devtodo: a list of tasks in XML
needs='devtodo xmllint'
right='process'
size=100
setup()
{
    mkdir "$WORK/home"
    {
        echo '<?xml version="1.0"?>'
        echo '<todo version="0.1.20">'
        old_names | sed 's,.*,<note priority="medium" time="1700000000">\n&\n</note>,'
        echo '</todo>'
    } >"$TABLE/.todo"
}
insert()
{
    export HOME=$WORK/home
    run devtodo --database "$TABLE/.todo" --add "$1" --priority medium
}
list()
{
    xmllint --xpath '//note/text()' "$TABLE/.todo" | grep -o '[a-z]*[0-9]*' | grep .
}
