#!/bin/sh
# The Debian packages, as `make deb` left them: what is in them, and that they install, guard,
# upgrade, go and are purged in a fresh root of their own. Called by make, which tells BUILD.
# Needs root for the fresh root; without it, or without debootstrap, that part is left out, and said.
#   RELEASE=bookworm   which Debian      MIRROR=URL   where from (default: debootstrap's own)
# shellcheck disable=SC2016,SC2317  # much is for a shell inside, and called by its name
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"
BUILD=$(realpath "$BUILD")
RELEASE=${RELEASE:-bookworm}
MIRROR=${MIRROR:-}
debs=$BUILD/deb
root=$work/root
leave() {
    umount "$root/proc" 2>/dev/null
    rm -rf --one-file-system "$work"
}
trap leave EXIT
# nothing COMMAND...: it prints nothing, not even an error.
nothing() {
    found=$("$@" 2>&1)
    printf '%s\n' "$found"
    [ -z "$found" ]
}

# --- what is in them ---
version=$("$BUILD/lockctl" --version)
version=${version#lockctl }
packages="liblockshim liblockshim-musl lockctl libtablestore0 libtablestore-dev tablestore"
[ "$(dpkg --print-architecture)" != amd64 ] || packages="$packages liblockshim-i386"
for package in $packages; do
    deb=$(echo "$debs/${package}_${version}"_*.deb)
    check "$package has the version of the sources" test -s "$deb"
    mkdir -p "$work/$package"
    check "$package unpacks" dpkg-deb -x "$deb" "$work/$package"
    check "$package runs no script of its own" nothing sh -c \
        'dpkg-deb -I "$1" | grep -E "(preinst|postinst|prerm|postrm)" | grep -v "ldconfig"' sh "$deb"
done
check "the shim lies where \$LIB leads to" test -s "$(echo "$work"/liblockshim/usr/lib/lockshim/lib/*/liblockshim.so)"
for page in lockctl/man1/lockctl.1 lockctl/man5/lockshim.conf.5 liblockshim/man7/lockshim.7 \
    liblockshim/man8/liblockshim.so.8 tablestore/man1/tablestore.1; do
    check "${page%%/*} has ${page##*/}" \
        sh -c 'zcat "$1" | cmp - "$2"' sh "$work/${page%%/*}/usr/share/man/${page#*/}.gz" "man/${page##*/}"
done
check "no file is in two packages" nothing sh -c \
    "for p in $packages; do (cd $work/\$p && find . ! -type d); done | sort | uniq -d"
for library in $(sed -nE 's/^(DEPS_BUILD) \+=(.*)/\2/p' ./*/build.mk | tr ' ' '\n' | grep -e '-dev$' | sort -u); do
    check "debian/control knows of $library" grep -q "^ $library,\$" debian/control
done

# --- in a fresh root ---
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null; then
    echo "packages: not installed in a fresh root: that needs root and debootstrap"
    finish
fi
# shellcheck disable=SC2086  # an optional argument
if ! debootstrap --variant=minbase "$RELEASE" "$root" $MIRROR >"$work/log" 2>&1; then
    failed=$((failed + 1))
    echo "FAIL packages: debootstrap"
    tail -3 "$work/log"
    finish
fi
mount -t proc proc "$root/proc" 2>/dev/null
inside() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 \
    chroot "$root" "$@"; }
mkdir "$root/debs"
cp "$debs"/*_"$version"_*.deb "$root/debs"
rm -f "$root"/debs/*-dbgsym_*
check "apt installs them" inside sh -c 'apt-get update && apt-get install -y --no-install-recommends /debs/*.deb'
check "all are installed" inside sh -c "[ \"\$(dpkg -l $packages | grep -c ^ii)\" = $(echo "$packages" | wc -w) ]"
check "they pass dpkg --verify" nothing inside dpkg --verify liblockshim liblockshim-musl lockctl libtablestore0 tablestore
# A count that several raise at once: without the lock some are lost.
cat >"$root/root/count.sh" <<'EOF'
cd /root && mkdir -p table && echo 0 >table/n
for i in 1 2 3 4 5 6 7 8 9 10; do
    eval "$1" &
done
wait
[ "$(cat table/n)" = 10 ] || { cat table/n; exit 1; }
EOF
raise='sh -c "n=\$(cat table/n); sleep 0.02; echo \$((n + 1)) >table/n"'
check "lockctl guards" inside sh /root/count.sh "lockctl run --table table -- $raise"
check "a preload by hand guards" inside sh /root/count.sh \
    'LD_PRELOAD=/usr/lib/lockshim/\$LIB/liblockshim.so LOCKSHIM_TABLE=/root/table perl -e "open F, q(table/n); \$n = <F>; close F; select undef, undef, undef, 0.02; open F, q(>table/n); print F \$n + 1, qq(\n)"'
check "the same goes wrong unguarded" sh -c '! "$@"' sh \
    env -i PATH=/usr/bin:/bin chroot "$root" sh /root/count.sh "$raise"
check "tablestore works" inside sh -c 'cd /root && tablestore create t a:int && tablestore insert t a=1 && tablestore verify t'

cat >"$work/raise.c" <<'EOF'
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    int n = 0;
    FILE *file = fopen("/root/table/n", "r");
    if (file == NULL || fscanf(file, "%d", &n) != 1 || fclose(file) != 0)
        return 1;
    usleep(20000);
    file = fopen("/root/table/n", "w");
    return file == NULL || fprintf(file, "%d\n", n + 1) < 0 || fclose(file) != 0;
}
EOF
if command -v musl-gcc >/dev/null; then
    musl-gcc -o "$root/root/raise" "$work/raise.c"
    cp -L /lib/ld-musl-*.so.1 "$root/lib"
    check "lockctl guards musl programs" inside sh /root/count.sh "lockctl run --scope process --table table -- /root/raise"
fi

if command -v i686-linux-gnu-gcc >/dev/null; then
    i686-linux-gnu-gcc -o "$root/root/raise-32" "$work/raise.c"
    check "a 32-bit libc installs" inside apt-get install -y --no-install-recommends libc6-i386
    check "lockctl guards 32-bit programs" inside sh /root/count.sh "lockctl run --scope process --table table -- /root/raise-32"
fi

# An upgrade: the same packages under a later version, while a guarded program runs.
mkdir "$work/later"
for deb in "$root"/debs/*.deb; do
    rm -rf "$work/package"
    dpkg-deb -R "$deb" "$work/package"
    sed -i "s/$version/$version+later/" "$work/package/DEBIAN/control"
    dpkg-deb -b "$work/package" "$work/later" >/dev/null
done
mkdir "$root/later"
cp "$work"/later/*.deb "$root/later"
check "they upgrade below a running program" inside sh -c '
    mkdir -p /root/running && cd /root &&
    { lockctl run --table running -- sh -c "echo 1 >running/a; : >ready; while [ ! -e go ]; do sleep 0.05; done; echo 2 >running/b" & } &&
    while [ ! -e ready ]; do sleep 0.05; done && dpkg -i /later/*.deb; status=$?; : >go; wait &&
    [ $status = 0 ] && [ "$(cat running/b)" = 2 ]'
check "all are the later version" inside sh -c "[ \$(dpkg -l | grep -c '+later') = $(echo "$packages" | wc -w) ]"
check "lockctl guards after the upgrade" inside sh /root/count.sh "lockctl run --table table -- $raise"
# shellcheck disable=SC2086  # several
check "they are purged" inside apt-get purge -y --autoremove $packages
check "nothing of them is left" nothing sh -c \
    "find $root/usr $root/etc $root/var/lib/dpkg/info -iname '*lockshim*' -o -iname '*lockctl*' -o -iname '*tablestore*'"
check "a table and its lock are left" test -e "$root/root/table.lock" -a -e "$root/root/table/n"
finish
