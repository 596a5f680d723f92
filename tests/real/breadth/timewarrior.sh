# timewarrior: records an interval
needs='timew jq'
right='process'
size=20
setup()
{
    mkdir "$TABLE/data" "$TABLE/extensions" && touch "$TABLE/timewarrior.cfg" &&
        old_names | awk '{ printf "inc 20240101T%02d%02d00Z - 20240101T%02d%02d30Z # %s\n",
            NR / 60, NR % 60, NR / 60, NR % 60, $1 }' >"$TABLE/data/2024-01.data"
}
insert()
{
    export TIMEWARRIORDB=$TABLE
    run timew track "20240102T00${1#new}00Z" - "20240102T00${1#new}30Z" "$1"
}
list()
{
    TIMEWARRIORDB=$TABLE timew export | jq -r '.[].tags[]'
}
