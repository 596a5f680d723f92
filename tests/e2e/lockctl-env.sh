#!/bin/bash
# lockctl env: what it prints means the same to a shell, to systemd, and to lockctl run.
# shellcheck disable=SC2016
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"

# systemd's rules for EnvironmentFile=, as systemd.exec(5) words them, for double-quoted values.
cat >systemd.py <<'END'
import re, sys
text = open(sys.argv[1], 'rb').read().decode('utf-8')
for name, value in re.findall(r'^([A-Z_]+)="((?:[^"\\]|\\.)*)"[ \t]*$', text, re.M | re.S):
    value = re.sub(r'\\\n', '', value)
    value = re.sub(r'\\(["\\`$])', r'\1', value)
    sys.stdout.buffer.write(f'{name}={value}'.encode() + b'\0')
END

same() { # NAME OPTIONS...
    local name=$1
    shift
    "$lockctl" env "$@" >lines || { not_ok "$name" "status $?"; return; }
    "$lockctl" run --scope process "$@" env -0 | grep -z -E '^(LOCKSHIM_|LD_PRELOAD=|UV_USE)' |
        sort -z >by_run
    env -i bash -c 'set -a; . ./lines
        for n in ${!LOCKSHIM_*} LD_PRELOAD UV_USE_IO_URING; do printf "%s=%s\0" "$n" "${!n}"; done' |
        sort -z >by_bash
    env -i sh -c 'set -a; . ./lines; printf "%s\0" "LD_PRELOAD=$LD_PRELOAD" \
        "LOCKSHIM_TABLES=$LOCKSHIM_TABLES" "UV_USE_IO_URING=$UV_USE_IO_URING"' | sort -z >by_sh
    check "$name: bash" cmp by_run by_bash
    check "$name: sh" cmp by_run by_sh
    if command -v python3 >/dev/null; then
        python3 systemd.py lines | sort -z >by_systemd
        check "$name: systemd" cmp by_run by_systemd
    else
        skip "$name: systemd (no python3)"
    fi
}

same "one table" --table table
same "two tables" --table table --table other --shared --timeout 0.25
same "quotes, dollars, blanks" --table "a \"b\" \$HOME \`id\` 'c' \\ d"
same "a newline" --table $'a\nb' --table c
same "control characters" --table $'\t\033[2J\001'
one_line "scope command" 78 'scope command, which needs .lockctl run' \
    "$lockctl" env --table table --scope command
"$lockctl" env --table $'\303\251\377' >lines
refute "bytes beyond ASCII are escaped" env LC_ALL=C grep '[^ -~]' lines
check "as the shim reads them" grep '\\\\303\\\\251\\\\377' lines
"$lockctl" env --table new >lines
refute "env creates nothing" test -e new.lock
libm=$(ldconfig -p 2>/dev/null | sed -n 's/.*libm.so.6 .*x86-64.* => //p' | head -1)
LD_PRELOAD=$libm "$lockctl" env --table table >lines
check "other preloads stay" grep -F -x "LD_PRELOAD=\"${preload/\$/\\\$}${libm:+:}$libm\"" lines
"$lockctl" env --table table --eager >lines
check "eager" grep -x 'LOCKSHIM_EAGER="1"' lines
finish
