# calcurse: imports an appointment
needs='calcurse'
right='process'
size=200
prepare()
{
    local n
    mkdir "$WORK/config" "$WORK/files"
    for ((n = 1; n <= WORKERS; n++)); do
        sed "s/NAME/$(new_names "$n")/" >"$WORK/files/$(new_names "$n").ics" <<'ICS'
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//EN
BEGIN:VEVENT
DTSTART:20300102T100000
DTEND:20300102T110000
SUMMARY:NAME
END:VEVENT
END:VCALENDAR
ICS
    done
}
setup()
{
    mkdir "$TABLE/notes" && touch "$TABLE/todo" &&
        old_names | sed 's,^,01/02/2030 @ 10:00 -> 01/02/2030 @ 11:00|,' >"$TABLE/apts"
}
insert()
{
    run calcurse -D "$TABLE" -C "$WORK/config" -q -i "$WORK/files/$1.ics"
}
list()
{
    calcurse -D "$TABLE" -C "$WORK/config" -Q --filter-type apt --from 01/01/2030 --to 01/03/2030 \
        --format-apt '%m\n' | grep '^old\|^new'
}
