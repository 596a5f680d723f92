#!/bin/sh
# The same sources give the same bytes, wherever, whenever and as whatever user's umask they are built.
# Called by make, which tells MAKE.
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"
mkdir -p "$work/one" "$work/some/where/else"
git ls-files -z Makefile shim lockctl store man completions debian doc tests | xargs -0 tar -c --ignore-failed-read -f "$work/sources.tar" || exit 1

# build DIRECTORY BUILD: less optimized than what is installed, because it is built twice.
build() {
    tar -xf "$work/sources.tar" -C "$1"
    if ! env -u MAKEFLAGS -u MAKELEVEL "${MAKE:-make}" -s -j2 -C "$1" BUILD="$2" OPTIMIZE='-O1 -g' all >"$work/log" 2>&1; then
        fails "it does not build in $1" "$(tail -5 "$work/log")"
        finish
    fi
}
(umask 022 && build "$work/one" build) || exit 1
(umask 077 && TZ=Asia/Tokyo LC_ALL=C build "$work/some/where/else" out/put) || exit 1
for file in liblockshim.so musl/liblockshim.so i386/liblockshim.so lockctl tablestore libtablestore.a libtablestore.so.0; do
    one=$work/one/build/$file
    [ -e "$one" ] || continue
    check "two builds of $file" cmp "$one" "$work/some/where/else/out/put/$file"
    if grep -qF "$work" "$one"; then fails "$file" "tells where it was built"; fi
done
[ "$passed" -ge 5 ] || fails "what was built" "too little: $passed files"
finish
