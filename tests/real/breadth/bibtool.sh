# BibTool: merges an entry into a bibliography
needs='bibtool'
right='process'
refused='session'
size=300
prepare()
{
    local n
    mkdir "$WORK/files"
    for ((n = 1; n <= WORKERS; n++)); do
        printf '@Misc{%s, title = {x}}\n' "$(new_names "$n")" >"$WORK/files/$(new_names "$n").bib"
    done
}
setup()
{
    old_names | sed 's/.*/@Misc{&, title = {x}}/' >"$TABLE/books.bib"
}
insert()
{
    run bibtool -q -i "$TABLE/books.bib" -i "$WORK/files/$1.bib" -o "$TABLE/books.bib"
}
list()
{
    bibtool -q -i "$TABLE/books.bib" | sed -n 's/^@Misc{[[:blank:]]*\(.*\),/\1/p'
}
