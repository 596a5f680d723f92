# Sourced by the tests of lockctl top: a terminal of tmux's with a shell in it, and ways to wait for
# what is on it. Nothing is waited for by the clock.
# shellcheck shell=bash disable=SC2034
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/../e2e/common.sh"
command -v tmux >/dev/null || { echo "not ok there is no tmux" && exit 1; }
socket=lockshim-top-$$ terminals=0
export LC_ALL=C.UTF-8
terminal() { tmux -L $socket -f /dev/null "$@" 2>&1; }
TMUX_TMPDIR=$(mktemp -d)
export TMUX_TMPDIR
trap 'terminal kill-server >/dev/null; rm -rf "$TMUX_TMPDIR"; clean_up' EXIT

# open_terminal WIDTH HEIGHT [VARIABLE=VALUE...]: a shell in it, in our directory.
open_terminal() {
    local width=$1 height=$2
    shift 2
    terminal kill-server >/dev/null
    # A server that is ending still answers, for a moment.
    terminals=$((terminals + 1))
    socket=lockshim-top-$$-$terminals
    terminal new-session -d -x "$width" -y "$height" \
        "env -u NO_COLOR TERM=screen-256color PS1='ready> ' $* bash --norc --noprofile" >/dev/null
    shows '^ready>' || not_ok "the terminal's shell is ready" "$(screen)"
}
keys() { terminal send-keys "$@" >/dev/null; }
type_line() { terminal send-keys -l "$1" >/dev/null && keys Enter; }
screen() { terminal capture-pane -p; }
coloured_screen() { terminal capture-pane -p -e; }

# patient COMMAND...: it succeeds within a time that no loaded machine needs.
patient() {
    local end=$((SECONDS + ${PATIENCE:-30}))
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.02
    done
}
has() { screen | grep -qE -- "$1"; }
has_not() { ! has "$1"; }
shows() { patient has "$1"; }
loses() { patient has_not "$1"; }
# seen NAME PATTERN: it comes to be on the screen. gone NAME PATTERN: it leaves it.
seen() { if shows "$2"; then ok "$1"; else not_ok "$1" "$(screen)"; fi; }
gone() { if loses "$2"; then ok "$1"; else not_ok "$1" "$(screen)"; fi; }

alternate() { [ "$(terminal display-message -p '#{alternate_on}')" = "$1" ]; }
# The process of lockctl top in the terminal.
top_process() { pgrep -t "$(terminal display-message -p '#{s|/dev/||:pane_tty}')" -f "^$lockctl top" | head -n 1; }
no_top() { [ -z "$(top_process)" ]; }
in_state() { [[ $(ps -o state= -p "$2") == "$1"* ]]; }
# start_top ARGUMENTS: as a job of the shell, with the terminal's modes before it in a file; after
# it the shell says "status N", and its modes are in another file.
start_top() {
    rm -f before after
    type_line "clear; stty -a >before; $lockctl top $1; echo status \$?; stty -a >after"
    if shows '^lockctl top [0-9]' && patient alternate 1; then ok "top $1 comes up"; else
        not_ok "top $1 comes up" "$(screen)"
    fi
}
modes() { sed 's/rows [0-9]*; columns [0-9]*;//' "$1"; }
# restored NAME STATUS: the shell is back, the terminal is as it was.
restored() {
    seen "$1: status $2" "^status $2\$"
    patient test -s after
    same "$1: modes as before (echo, lines)" "$(modes before)" "$(modes after)"
    check "$1: the alternate screen is left" patient alternate 0
    same "$1: the cursor is seen" 1 "$(terminal display-message -p '#{cursor_flag}')"
    check "$1: nobody is left" patient no_top
}
# A holder of a lock that says when it has it, until `go NAME`: flock -o keeps it in one process.
holder() { # FILE NAME WORD...
    local file=$1 name=$2
    shift 2
    flock -o "$file" sh -c ": >$name; while [ ! -e $name+ ]; do sleep 0.05; done" "$@" &
    holding=$!
    at "$name"
}
