#!/bin/bash
# The pictures of the README, of the real programs on a real terminal: doc/demo.svg and doc/top.svg.
# Called by make, which tells BUILD. The tables of the second lie below /srv of a mount namespace.
set -eu
cd "$(dirname "$0")/.."
BUILD=$(realpath "${BUILD:-build}")
export BUILD
if [ "${1-}" != inside ]; then
    exec unshare --map-root-user --mount --pid --fork --mount-proc bash ${TRACE:+-x} "$0" inside
fi
mount -t tmpfs none /srv
PATH=$BUILD:/usr/bin:/bin
scratch=$(mktemp -d)
terminals=0
terminal() { TMUX_TMPDIR=$scratch tmux -L terminal-$terminals -f /dev/null "$@"; }
trap 'terminal kill-server 2>/dev/null; rm -rf "$scratch"' EXIT

# open WIDTH HEIGHT COMMAND: it, on a terminal of its own.
open() {
    terminal kill-server 2>/dev/null || :
    terminals=$((terminals + 1)) # a server that is ending still answers
    terminal new-session -d -x "$1" -y "$2" \
        "env -u NO_COLOR TERM=screen-256color LC_ALL=C.UTF-8 bash --norc --noprofile -c '$3; sleep 60'"
}
# shown TEXT: it comes to stand on the screen.
shown() {
    local i
    for ((i = 0; i < 300; i++)); do
        if terminal capture-pane -p | grep -q -e "$1"; then return; fi
        sleep 0.1
    done
    terminal capture-pane -p >&2
    echo "pictures.sh: the terminal does not show '$1'" >&2
    exit 1
}
# picture FILE TITLE: the screen as it is.
picture() {
    terminal capture-pane -p -e | python3 doc/screen-to-svg.py "$2" >"$scratch/picture"
    cp "$scratch/picture" "$1"
}

open 92 46 "bash tests/real/demo.sh"
shown 'and the count is'
picture doc/demo.svg 'make demo: fifty processes at once, unguarded and guarded'

# --- lockctl top: an import with a queue behind it, and an editor that somebody stopped ---
cd /srv
mkdir shop wiki
echo 0 >shop/orders
echo home >wiki/pages
touch contacts.rec
cat >import.py <<'END'
import time
with open("/srv/shop/orders", "r+") as orders:
    orders.read()
    time.sleep(60)
END
cat >edit.sh <<'END'
read -r pages </srv/wiki/pages
while :; do sleep 1; done
END
lockctl run --scope process --table shop -- python3 import.py &
lockctl run --scope process --table wiki -- bash edit.sh &
lockctl run --table contacts.rec -- recins -f Name -v Emma contacts.rec
for table in shop wiki; do
    for ((i = 0; i < 100; i++)); do
        [ -z "$(lockctl holders -nr -o PID $table)" ] || break
        sleep 0.1
    done
done
kill -STOP "$(lockctl holders -nr -o PID wiki)"
sleep 0.7
lockctl run --table shop -- perl -ne 1 shop/orders &
lockctl run --table wiki -- sed -i s/home/index/ wiki/pages &
sleep 1.3
lockctl run --table shop -- sh -c 'echo 1 >shop/orders' &
sleep 2
cd "$OLDPWD"
open 104 16 'lockctl top /srv/shop /srv/wiki /srv/contacts.rec'
shown 'stopped:'
sleep 1.5
picture doc/top.svg 'lockctl top: one lock is held by a stopped process'
