#!/bin/bash
# The configuration file, and how it goes together with options.
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
config() { printf '%b' "$1" >config; }
wrong() { # NAME TEXT PATTERN
    config "$2"
    one_line "$1" 78 "config:$3" "$lockctl" run --config config true
}
# What a table's line in the environment says, by the table's last part.
line_of() {
    local name=$1
    shift
    "$lockctl" run --config config "$@" env | sed 's/^LOCKSHIM_TABLES=//' | grep "/$name "
}
says() { # NAME TABLE PATTERN OPTIONS...
    local name=$1 table=$2 pattern=$3 line
    shift 3
    line=$(line_of "$table" "$@")
    if [[ $line =~ $pattern ]]; then ok "$name"; else not_ok "$name" "$line"; fi
}

wrong "an unknown key" "[table $work/table]\nscop = call\n" "2: 'scop' is no setting"
wrong "a wrong value" "[table $work/table]\n\nscope = x\n" "3: scope 'x' is not a scope"
wrong "an unknown section" "# x\n[tables $work/table]\n" "2: 'tables .*' is no section"
wrong "a section without a path" "[table]\n" "1: 'table' is no section"
wrong "a relative table" "[table x]\n" "1: 'x' is not an absolute path"
wrong "a relative lock file" "[table /x]\nlock=y\n" "2: 'y' is not an absolute path"
wrong "a relative log file" "[table /x]\nlog=y\n" "2: 'y' is not an absolute path"
wrong "a key outside of sections" "scope=call\n" "1: 'scope' stands before"
wrong "a line without a value" "[table /x]\nshared\n" "2: the line is neither"
wrong "a section that is not closed" "[table /x\n" "1: .* has no closing bracket"
wrong "a line that is too long" "[table /x]\nlog=/$(head -c 20000 /dev/zero | tr '\0' x)\n" \
    "2: the line is too long"
wrong "a byte 0" "[table /x]\nlog=/x\\0y\n" "2: the line contains a NUL"
config "[table $work/table]\n[table $work/./table]\n"
one_line "a table named twice" 78 'is named twice' "$lockctl" run --config config true
one_line "a missing file" 78 "'none': No such file" "$lockctl" run --config none true
one_line "a directory" 1 'Is a directory' "$lockctl" run --config table true

config "\xef\xbb\xbf; comment\n[table $work/one]\n  scope = call ; comment\n\ttimeout: 1.5\n\n[table $work/two]\n"
says "a table of the file" one 'scope=call .*timeout=1.5'
says "an indented key continues nothing" one 'timeout=1.500000000 '
says "a table with defaults alone" two 'scope=command '
says "options are over the file" one 'scope=process' --scope process
says "the file is the default of a table that is named" one 'scope=call .*timeout=3' \
    --table "$work/one" --timeout 3
says "by whatever path" one 'scope=call' --table "$work/table/.././one"
refute "a named table stands alone" line_of two --table one
long=$work/$(head -c 200 /dev/zero | tr '\0' x)
config "[table $long] # comment\nscope=call\nlock=$long.lock\n[table $long]b]\nscope=session\n"
says "a long path" "$(basename "$long")" 'xxx lock=.*xxx.lock scope=call'
says "a bracket in a path" "$(basename "$long")]b" 'scope=session'
config "[table $work/one]\neager=yes\nscope=session\n"
one_line "eager in the file" 2 'eager' "$lockctl" run --config config true
says "options before the first table are of all" two 'scope=process' \
    --scope process --table "$work/one2" --table "$work/two"
says "options after a table are its own" one2 'scope=call .*timeout=2' \
    --timeout 2 --table one2 --scope call --table two
says "not the next one's" two 'scope=command .*timeout=2' \
    --timeout 2 --table one2 --scope call --table two
finish
