#!/bin/sh
# make install, uninstall and dist: a staged tree has all that belongs there, with the right modes
# and nothing of the machine that built it; uninstall leaves only what was there before.
# Called by make (tests/packaging/build.mk), which tells MAKE and BUILD.
# shellcheck disable=SC2317  # called by name
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"

# nothing COMMAND...: it prints nothing, not even an error.
nothing() {
    found=$("$@" 2>&1)
    printf '%s\n' "$found"
    [ -z "$found" ]
}
make_quietly() { "${MAKE:-make}" --no-print-directory -s BUILD="$BUILD" "$@" >/dev/null; }

root=$work/root
mkdir -p "$root/usr/local/bin" "$root/usr/local/lib"
echo mine >"$root/usr/local/bin/other"
check "make install" make_quietly install DESTDIR="$root"
for file in bin/lockctl bin/tablestore lib/liblockshim.so lib/libtablestore.a lib/libtablestore.so.0 \
    lib/libtablestore.so include/tablestore.h lib/pkgconfig/tablestore.pc share/man/man1/lockctl.1 \
    share/man/man1/tablestore.1 share/doc/lockshim/README.md share/doc/lockshim/LICENSE; do
    check "$file is installed" test -s "$root/usr/local/$file"
done
for manual in man/*.[1-8]; do
    check "$manual is installed" cmp "$manual" "$root/usr/local/share/man/man${manual##*.}/${manual##*/}"
done
check "programs may be executed" nothing find "$root/usr/local/bin" -type f ! -name other ! -perm 755
check "other files may not" nothing find "$root/usr/local" -type f -perm /111 ! -path '*/bin/*'
check "all may be read" nothing find "$root" -type f ! -perm -444
check "no path of the build is in a text" nothing grep -rIlF -e "$work" -e "$PWD/" "$root/usr"
check "no link leads out of the tree" nothing find "$root" -type l ! -exec test -e {} \; -print
# shellcheck disable=SC2016  # for the inner shell
check "a program finds the library by its pkg-config file" sh -c '
    printf "#include <tablestore.h>\nint main(void) { return tablestore_version() == 0; }\n" >"$1/use.c" &&
    PKG_CONFIG_PATH=$2/usr/local/lib/pkgconfig pkg-config --define-variable=prefix="$2/usr/local" \
        --define-variable=libdir="$2/usr/local/lib" --define-variable=includedir="$2/usr/local/include" \
        --cflags --libs tablestore >"$1/flags" &&
    ${CC:-cc} -o "$1/use" "$1/use.c" $(cat "$1/flags") && LD_LIBRARY_PATH=$2/usr/local/lib "$1/use"' \
    sh "$work" "$root"

# The installed programs work, from where they lie now.
mkdir "$work/table"
# shellcheck disable=SC2016  # for the inner shell
check "the installed lockctl guards" sh -c '
    env -u LD_PRELOAD "$1/bin/lockctl" run --shim "$1/lib/liblockshim.so" --table "$2" -- \
        sh -c "echo 1 >\"\$1/n\" && ! flock -n \"\$1.lock\" true" sh "$2"' \
    sh "$root/usr/local" "$work/table"
check "the installed tablestore works" "$root/usr/local/bin/tablestore" create "$work/t" a:int

check "make uninstall" make_quietly uninstall DESTDIR="$root"
# shellcheck disable=SC2016  # for the inner shell
check "uninstall leaves what is not ours, and no more" sh -c '
    [ "$(find "$1" ! -type d)" = "$1/usr/local/bin/other" ]' sh "$root"
check "no directory of ours is left" nothing find "$root" -name '*lockshim*'

if git rev-parse --verify -q HEAD >/dev/null 2>&1; then
    version=$("$BUILD/lockctl" --version)
    version=${version#lockctl }
    check "make dist" make_quietly dist BUILD="$work/one"
    sleep 1
    check "make dist again" make_quietly dist BUILD="$work/two"
    check "the same tarball twice" cmp "$work"/*/lockshim-"$version".tar.gz
    tar -tzf "$work/one/lockshim-$version.tar.gz" | grep -v '/$' | sed 's|^[^/]*/||' | sort >"$work/in"
    git ls-tree -r --name-only HEAD | sort >"$work/wanted"
    check "the tarball has every file" diff "$work/wanted" "$work/in"
fi
finish
