# awk ... f >tmp; mv tmp f, under make
needs='make awk'
prepare()
{
    cat >"$WORK/Makefile" <<'MAKE'
.PHONY: insert
insert:
	awk '{ print } END { print "$(NAME)" }' $(TABLE)/items >$(TABLE)/items.$(NAME)
	mv $(TABLE)/items.$(NAME) $(TABLE)/items
MAKE
}
setup()
{
    old_names >"$TABLE/items"
}
insert()
{
    unset MAKEFLAGS MFLAGS MAKELEVEL
    run make -s -f "$WORK/Makefile" insert NAME="$1" TABLE="$TABLE"
}
list()
{
    cat "$TABLE/items"
}
