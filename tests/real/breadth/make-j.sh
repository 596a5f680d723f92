# make -j: jobs side by side, each raises a counter of its own, then one adds them up
needs='make'
prepare()
{
    cat >"$WORK/Makefile" <<'MAKE'
PARTS := a b c d
.PHONY: sum $(PARTS)
sum: $(PARTS)
	cat $(PARTS:%=$(TABLE)/%) | awk '{ n += $$1 } END { print n }' >$(TABLE)/sum
$(PARTS):
	n=$$(cat $(TABLE)/$@); expr $$n + 1 >$(TABLE)/$@
MAKE
}
setup()
{
    local part
    for part in a b c d sum; do
        echo 1000 >"$TABLE/$part"
    done
}
operation()
{
    unset MAKEFLAGS MFLAGS MAKELEVEL
    run make -s -j4 -f "$WORK/Makefile" TABLE="$TABLE"
}
list()
{
    (cd "$TABLE" && grep . ./*)
}
expected()
{
    local part
    for part in a b c d; do
        echo "./$part:$((1000 + $#))"
    done
    echo "./sum:$((4000 + 4 * $#))"
}
