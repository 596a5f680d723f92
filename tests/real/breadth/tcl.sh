# Tcl: a list in a file
needs='tclsh'
right='process'
refused='session'
prepare()
{
    script store.tcl <<'TCL'
lassign $argv path act name
set in [open $path]; set items [read -nonewline $in]; close $in
set at [lsearch -exact $items $name]
if {$act eq "insert"} { lappend items $name } else { set items [lreplace $items $at $at] }
set out [open $path w]; puts $out $items; close $out
TCL
}
setup()
{
    old_names | paste -s -d' ' >"$TABLE/items"
}
insert()
{
    run tclsh "$WORK/store.tcl" "$TABLE/items" insert "$1"
}
delete()
{
    run tclsh "$WORK/store.tcl" "$TABLE/items" delete "$1"
}
list()
{
    tr -s ' ' '\n' <"$TABLE/items"
}
