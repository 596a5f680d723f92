#!/bin/sh
# What a release promises: one version everywhere, and the symbols that programs link to. Called by
# make, which tells BUILD. Those of the shim are held to symbols.def by tests/surface/symbols.sh.
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"
version=$(sed -nE 's/^VERSION := //p' Makefile)
same "lockctl --version" "lockctl $version" "$("$BUILD/lockctl" --version)"
same "tablestore --version" "tablestore $version" "$("$BUILD/tablestore" --version)"
same "tablestore.pc" "$version" "$(sed -n 's/^Version: //p' "$BUILD/tablestore.pc")"
same "debian/changelog" "$version" "$(sed -nE '1s/.*\((.*)\).*/\1/p' debian/changelog)"
same "CHANGELOG.md" "$version" "$(sed -nE '/^## /{s/^## ([0-9.]+).*/\1/p;q}' CHANGELOG.md)"

# A symbol that goes, or comes without being listed, is a decision about the library's ABI: one that
# goes takes another soname, one that comes is listed with the version that brought it.
symbols() { nm -D --defined-only "$1" | awk '{ print $3 }' | sort; }
sed -nE 's/^ ([a-z_0-9]+)@Base .*/\1/p' debian/libtablestore0.symbols | sort >"$work/listed"
symbols "$BUILD/libtablestore.so.0" >"$work/exported"
same "libtablestore: listed, and not exported" "" "$(comm -23 "$work/listed" "$work/exported")"
same "libtablestore: exported, and not in debian/libtablestore0.symbols" "" \
    "$(comm -13 "$work/listed" "$work/exported")"
# Layouts that programs compile in: sizes and offsets of the public structures.
cat >"$work/layout.c" <<'END'
#include "store/tablestore.h"
#include <stddef.h>
#include <stdio.h>
#define SIZE(type) printf("%s %zu\n", #type, sizeof(type))
#define PLACE(type, member) printf("%s.%s %zu\n", #type, #member, offsetof(type, member))
int main(void)
{
#include "layout.inc"
    return 0;
}
END
sed -nE 's/^([A-Z]+\(.*\)) [0-9]+$/\1;/p' tests/packaging/tablestore.layout >"$work/layout.inc"
sed -nE 's/^SIZE\((.*)\) ([0-9]+)$/\1 \2/p; s/^PLACE\((.*), (.*)\) ([0-9]+)$/\1.\2 \3/p' \
    tests/packaging/tablestore.layout >"$work/wanted"
if [ "$(getconf LONG_BIT)" = 64 ]; then
    ${CC:-cc} -I. -I"$work" -o "$work/layout" "$work/layout.c" && "$work/layout" >"$work/got"
    same "libtablestore: layout of its structures" "" "$(diff "$work/wanted" "$work/got")"
    same "libtablestore: every public structure is in the list of layouts" "" \
        "$(sed -nE 's/^struct ([a-z_]+) \{.*/struct \1/p' store/tablestore.h |
            while read -r name; do grep -q "^SIZE($name)" tests/packaging/tablestore.layout || echo "$name"; done)"
fi

# Of the shim for musl: nothing but the list, without what only glibc has.
if [ -e "$BUILD/musl/liblockshim.so" ]; then
    sed -nE 's/^(EARLY|SYMBOL)\(([A-Za-z0-9_]+).*/\2/p' shim/interpose/symbols.def | sort >"$work/listed"
    symbols "$BUILD/musl/liblockshim.so" >"$work/exported"
    same "the shim for musl exports its part of symbols.def" "" "$(diff "$work/listed" "$work/exported")"
    same "and needs musl alone" "libc.so" "$(objdump -p "$BUILD/musl/liblockshim.so" | awk '$1 == "NEEDED" { print $2 }')"
fi
finish
