#!/bin/sh
# The list of interposed symbols against the two libraries: libc must export nothing that opens,
# changes, names or closes files and that nobody has decided about; the shim must export nothing but
# the list, and need nothing but libc.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
shim=${SHIM:-$BUILD/liblockshim.so}
libc=${LIBC:-$(ldd /bin/sh | sed -n 's/.*=> \(.*libc\.so\.6\) .*/\1/p')}
# What stands in the list for this machine's libc: 32-bit ones have twins with 64-bit times.
kinds='EARLY|SYMBOL|GLIBC|EARLY_GLIBC'
decisions=tests/surface/not-interposed.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
case $(basename "$(dirname "$shim")") in
i386)
    kinds="$kinds|TIME64"
    cat "$decisions" tests/surface/not-interposed-i386.txt >"$work/decisions"
    decisions=$work/decisions
    ;;
esac
passed=0
failed=0

# each MESSAGE: reads names; every one of them is a failure.
each() {
    while read -r name; do
        echo "FAIL symbols: $name $1"
        failed=$((failed + 1))
    done
}

# Functions that a library exports to programs; libc's own insides are GLIBC_PRIVATE.
exported() {
    nm -D --defined-only --with-symbol-versions "$1" |
        awk '$2 ~ /^[TWi]$/ && $3 !~ /@GLIBC_PRIVATE/ { sub(/@.*/, "", $3); print $3 }' | sort -u
}

# A name of libc is considered if one of these is in it. All else in libc (strings, numbers, locales,
# threads, time, users, networks) is not about files.
cat >"$work/about-files" <<'PATTERNS'
open|(^|_)creat(64)?$|close|write|trunc|fallocate|renam|link|remove$|rmdir|mkdir|mknod|mkfifo
tempn?a?m?|tmpfile|tmpnam|stat$|stat64$|statat|statx|statfs|statvfs|stat.*time64|access|realpath
canonicalize|chdir|chroot|cwd|getwd|current_dir|dir$|dir64$|dirat|dirfd|dents|direntries|glob|ftw|^fts
mmap|munmap|mremap|msync|mprotect|(^|_)dup[0-9]?$|fcntl|ioctl|flock|lockf|splice|sendfile|copy_file|tee$
^aio_|^lio_|sync|exec|spawn|fork$|Fork$|^popen|pclose|^system$|daemon|setsid|_exit$|_Exit|^exit$|^dlm?open
^syscall$|dprintf|recvm|pidfd|memfd|handle|fanotify|inotify|mount|pivot_root|swapo|^acct
chmod|chown|utime|(get|set|list|remove)xattr|clone$|unshare|setns|^shm|^mq_|^sem_|put(c|s|w|wc|ws)(_unlocked)?$
^fput|printf|flush|purge|^p?error|psignal|psiginfo|^v?(err|warn)x?$|putpwent|putgrent|putspent|putsgent
utmpx?$|updwtmp|logwtmp|log(in|out)$|utxent|utent|lckpwdf
^(__)?wait(pid|id|[34])?(_time64)?$
PATTERNS
exported "$libc" | grep -E -f "$work/about-files" >"$work/considered"
sed -nE "s/^($kinds|SINCE)\(([A-Za-z0-9_]+).*/\\2/p" shim/interpose/symbols.def |
    sort -u >"$work/interposed"
# A decision is a name, or a pattern with * in it, and the reason behind it.
sed -nE 's/^([A-Za-z0-9_*]+)[[:blank:]].+/^\1$/p' "$decisions" | sed 's/\*/.*/g' >"$work/decided"

grep -vxF -f "$work/interposed" "$work/considered" | grep -vE -f "$work/decided" \
    >"$work/undecided"
each "is exported by libc, about files, and neither interposed nor in $decisions" \
    <"$work/undecided"
passed=$((passed + $(wc -l <"$work/considered") - $(wc -l <"$work/undecided")))

# Decisions that decide about nothing would hide a new name one day.
while read -r decision; do
    grep -qE -- "$decision" "$work/considered" || echo "$decision"
done <"$work/decided" >"$work/idle"
each "in $decisions fits no name that libc exports" <"$work/idle"
passed=$((passed + $(wc -l <"$work/decided") - $(wc -l <"$work/idle")))
grep -vF '.*' "$work/decided" | grep -E -f - "$work/interposed" >"$work/both"
each "is interposed, and in $decisions as well" <"$work/both"

# What is interposed exists in libc, but for what came later.
sed -nE "s/^($kinds)\(([A-Za-z0-9_]+).*/\\2/p" shim/interpose/symbols.def | sort -u |
    grep -vxF -f "$work/considered" >"$work/unknown"
exported "$libc" >"$work/libc"
grep -vxF -f "$work/libc" "$work/unknown" >"$work/missing"
each "is in symbols.def, but libc exports no such function" <"$work/missing"
grep -xF -f "$work/libc" "$work/unknown" >"$work/unconsidered"
each "is in symbols.def, but none of the patterns in this test finds it: add one" <"$work/unconsidered"

# The shim.
nm -D --defined-only "$shim" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u >"$work/exports"
grep -vxF -f "$work/interposed" "$work/exports" >"$work/stray"
each "is exported by the shim, but not in symbols.def" <"$work/stray"
grep -vxF -f "$work/exports" "$work/interposed" >"$work/forgotten"
each "is in symbols.def, but not exported by the shim" <"$work/forgotten"
passed=$((passed + $(wc -l <"$work/exports") - $(wc -l <"$work/stray")))
objdump -p "$shim" | awk '$1 == "NEEDED" { print $2 }' | grep -vx 'libc\.so\.6' >"$work/needed"
each "is a library that the shim needs beside libc" <"$work/needed"
# Thread-local storage, if any, must be initial-exec: libc's own.
objdump -p "$shim" | grep -q STATIC_TLS ||
    nm "$shim" | grep -E ' [bd] .*(tls|TLS)' | each "is thread-local storage of another model"

echo "symbols: $passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
