# SWI-Prolog: facts, consulted, changed and listed anew
needs='swipl'
right='process'
size=200
prepare()
{
    script store.pl <<'PROLOG'
:- initialization(main, main).
:- dynamic item/1.
main([Path, Act, Name]) :-
    load_files(Path, [silent(true)]),
    ( Act == insert -> assertz(item(Name)) ; retract(item(Name)) ),
    tell(Path), forall(item(I), (writeq(item(I)), writeln('.'))), told.
PROLOG
}
setup()
{
    { echo ':- dynamic item/1.' && old_names | sed 's/.*/item(&)./'; } >"$TABLE/items.pl"
}
insert()
{
    run swipl "$WORK/store.pl" -- "$TABLE/items.pl" insert "$1"
}
delete()
{
    run swipl "$WORK/store.pl" -- "$TABLE/items.pl" delete "$1"
}
list()
{
    sed -n 's/^item(\(.*\))\.$/\1/p' "$TABLE/items.pl"
}
