#!/bin/sh
# The same sources give the same bytes, wherever, whenever and as whatever user's umask they are built.
# Called by make, which tells MAKE.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0
mkdir -p "$work/one" "$work/some/where/else"
git ls-files -z Makefile shim lockctl store man completions debian tests | xargs -0 tar -c --ignore-failed-read -f "$work/sources.tar" || exit 1

# build DIRECTORY BUILD: less optimized than what is installed, because it is built twice.
build() {
    tar -xf "$work/sources.tar" -C "$1"
    if ! env -u MAKEFLAGS -u MAKELEVEL "${MAKE:-make}" -s -j2 -C "$1" BUILD="$2" OPTIMIZE='-O1 -g' all >"$work/log" 2>&1; then
        echo "FAIL reproducible: it does not build in $1"
        tail -5 "$work/log" | sed 's/^/    /'
        exit 1
    fi
}
(umask 022 && build "$work/one" build) || exit 1
(umask 077 && TZ=Asia/Tokyo LC_ALL=C build "$work/some/where/else" out/put) || exit 1
for file in liblockshim.so musl/liblockshim.so lockctl tablestore libtablestore.a libtablestore.so.0; do
    one=$work/one/build/$file
    [ -e "$one" ] || continue
    if cmp "$one" "$work/some/where/else/out/put/$file"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL reproducible: two builds of $file differ"
    fi
    if grep -qF "$work" "$one"; then
        failed=$((failed + 1))
        echo "FAIL reproducible: $file tells where it was built"
    fi
done
echo "reproducible: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -ge 5 ]
