# aspell: puts a word into a personal dictionary
needs='aspell'
size=300
available()
{
    aspell dicts | grep -qx en
}
word()
{
    tr '0-9' 'a-j' <<<"$1"
}
setup()
{
    { echo "personal_ws-1.1 en $size" && old_names | tr '0-9' 'a-j'; } >"$TABLE/words.pws"
}
insert()
{
    run aspell -a --lang=en --personal="$TABLE/words.pws" <<<"*$(word "$1")"$'\n#'
}
list()
{
    aspell dump personal --lang=en --personal="$TABLE/words.pws" | tr 'a-j' '0-9' |
        sed 's/^ol3/old/;s/^n4w/new/'
}
right='process'
