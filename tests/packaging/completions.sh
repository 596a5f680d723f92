#!/bin/bash
# Completion: what bash and zsh offer is what --help names, for every command; and the few values
# that the completion lists itself are values that lockctl takes. Called by make, which tells BUILD.
# shellcheck disable=SC2034,SC2154  # bash's own interface to completion
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"
PATH=$(realpath "$BUILD"):$PATH

# --- what help names, read in another way than the completion does ---
commands_of() {
    "$1" --help | python3 -c '
import re, sys
text = sys.stdin.read().split("Commands:\n")[1].split("\n\n")[0]
print(*re.findall(r"^  ([a-z-]+)", text, re.M))'
}
# Every word of the help's option lines that starts with two hyphens, before what explains it.
options_of() {
    if [ "$1" = lockctl ]; then
        lockctl "$2" --help | python3 -c '
import re, sys
for line in sys.stdin:
    if re.match(r"  -", line):
        print(re.search(r"--[a-z-]+", line)[0])'
    else
        tablestore --help | python3 -c '
import re, sys
text = sys.stdin.read()[1:].split("each for the commands named:\n")[1].split("\n\n")[0]
for part in re.split(r"(?m)^  (?=--)", text):
    named = re.search(r"\n +\(([a-z, -]+)\)\n*$", part)
    if part and (named is None or sys.argv[1] in named[1].split(", ")):
        print(part.split()[0])' "$2"
    fi | words
}
columns_of() {
    lockctl "$1" --help | python3 -c '
import re, sys
text = sys.stdin.read()
if "Columns:\n" in text:
    print(*[line.split()[0] for line in text.split("Columns:\n")[1].split("\n\n")[0].splitlines()])' | words
}

# --- bash ---
# shellcheck source=completions/lockctl.bash
. completions/lockctl.bash
# offered WORD...: what is offered for the last of the words, by bash.
offered() {
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _lockctl "$1"
    printf '%s\n' "${COMPREPLY[@]}" | words
}
# --- zsh: the same question; what would be added to the list is printed instead ---
cat >"$work/ask.zsh" <<'ZSH'
compadd() { while [[ $1 == -* ]]; do case $1 in -S) shift 2 ;; --) shift; break ;; *) break ;; esac; [[ $1 == -q ]] && shift; done; print -l -- ${@:#(-q|-S|,|--)} }
compset() { PREFIX=${words[CURRENT]} }
_files() { print '<files>' }
_normal() { print '<command>' $words[1] at $CURRENT }
words=("$@") CURRENT=$#
source completions/_lockctl
ZSH
# The file is a function's body: sourced, it answers for $words.
asked() { zsh -f "$work/ask.zsh" "$@" 2>&1 | words; }

for program in lockctl tablestore; do
    commands=$(commands_of $program)
    same "$program has commands" yes "$([ "$(wc -w <<<"$commands")" -gt 1 ] && echo yes)"
    same "$program: commands, bash" "$(words <<<"$commands --help --version")" "$(offered $program '')"
    same "$program: commands, zsh" "$(words <<<"$commands --help --version")" "$(asked $program '')"
    for command in $commands; do
        wanted=$(options_of $program "$command")
        same "$program $command has options" yes "$([ -n "$wanted" ] && echo yes)"
        same "$program $command: options, bash" "$wanted" "$(offered $program "$command" --)"
        same "$program $command: options, zsh" "$wanted" "$(asked $program "$command" --)"
    done
done
for command in $(commands_of lockctl); do
    columns=$(columns_of "$command")
    [ -n "$columns" ] || continue
    for option in -o --output; do
        same "lockctl $command $option, bash" "$columns" "$(offered lockctl "$command" $option '')"
        same "lockctl $command $option, zsh" "$columns" "$(asked lockctl "$command" $option '')"
    done
    same "lockctl $command -o A,: further ones" "$columns" \
        "$(offered lockctl "$command" -o A, | sed 's/A,//g')"
done

# Values: those of the manual, and those of the complaint about a wrong one.
for option in scope on-crash dependents lost-update; do
    values=$(offered lockctl run --$option '')
    same "--$option: zsh offers the same" "$values" "$(asked lockctl run --$option '')"
    manual=$(sed -nE "s/^\.It Fl -$option Cm (.*)/\1/p" man/lockctl.1 | tr -d '|' | words)
    [ $option != scope ] || manual=$(sed -n '/^\.It Fl -scope/,/^\.It Fl -eager/s/^\.It Cm //p' man/lockctl.1 | words)
    same "--$option: the values of the manual" "$manual" "$values"
    same "--$option: the values that lockctl names when it takes none" "$values" \
        "$(lockctl run --config /dev/null --$option nonsense 2>&1 | sed -nE 's/.*\((.*)\)$/\1/p' | tr -d , | words)"
    same "--$option=, as bash cuts it up" "$values" "$(offered lockctl run --$option = '')"
done

# The command behind run is completed as one, wherever it begins.
mkdir "$work/files"
: >"$work/files/one"
same "the command, bash" tru "$(offered lockctl run --table x tru | tr ' ' '\n' | sed -n 's/^true$/tru/p')"
same "its files" "$work/files/one" "$(offered lockctl run --table x -- cat "$work/files/o")"
same "the table's files" "$work/files/one" "$(offered lockctl run --table "$work/files/o")"
same "after an option's value, zsh" "1 <command> at ec" "$(asked lockctl run --table x ec)"
same "after --, zsh" "2 <command> at cat" "$(asked lockctl run --table x -- cat '')"
same "the table's files, zsh" "<files>" "$(asked lockctl run --table '')"
finish
