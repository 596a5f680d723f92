#!/bin/bash
# lockctl's usage: help, version, options, what a wrong one says, the status passed on.
# shellcheck source=tests/e2e/lockctl-common.sh
. "$(dirname "$(realpath "$0")")/lockctl-common.sh"
run() { "$lockctl" run --table table "$@"; }

expect "version" 0 'lockctl [0-9.]+' "$lockctl" --version
expect "help" 0 'Usage: lockctl COMMAND.*  run .*  env .*' "$lockctl" --help
for command in run env; do
    expect "help of $command" 0 "Usage: lockctl $command .*--table PATH.*--lost-update.*Exit.*" \
        "$lockctl" "$command" --help
    "$lockctl" "$command" --help >text
    refute "help of $command within 80 columns" grep '.\{81\}' text
done
one_line "no command" 2 'no command' "$lockctl"
one_line "an unknown command" 2 "'frobnicate' is no command" "$lockctl" frobnicate
one_line "control characters are shown harmless" 2 "'\\^\\[\\[2J\\\\n' is no command" \
    "$lockctl" $'\033[2J\n'
one_line "an unknown option" 2 "'--frob' is no option" "$lockctl" run --frob true
one_line "an option without its value" 2 "'--table' needs a value" "$lockctl" run --table
one_line "an empty run" 2 'no command to start' run
one_line "no table" 2 'no table' "$lockctl" run --config /dev/null true
one_line "env takes no command" 2 "'true' is too much" "$lockctl" env --table table true

one_line "a wrong scope" 78 "--scope 'sesion' is not a scope" run --scope sesion true
one_line "a wrong timeout" 78 "--timeout '1,5' is not" run --timeout 1,5 true
one_line "a negative timeout" 78 "--timeout '-1' is not" run --timeout -1 true
one_line "a wrong crash policy" 78 "--on-crash 'panic' is not" run --on-crash panic true
one_line "a wrong policy for dependents" 78 "--dependents 'x' is not" run --dependents x true
one_line "a wrong policy for lost updates" 78 "--lost-update 'x' is not" run --lost-update x true
one_line "an empty lock file" 78 "--lock '' is empty" run --lock '' true
one_line "eager with session" 2 'eager.*scope session' run --scope session --eager true
one_line "eager with call, for env" 2 'eager.*scope call' \
    "$lockctl" env --table table --scope call --eager

expect "the command's own options are left alone" 0 '--scope -n' run echo -n --scope -n
expect "a status" 3 '' run -- sh -c 'exit 3'
expect "the status 255" 255 '' run -- sh -c 'exit 255'
expect "ended by SIGTERM" 143 '' run -- sh -c 'kill -TERM $$'
expect "ended by SIGKILL" 137 '' run -- sh -c 'kill -KILL $$'
expect "a status under scope process" 3 '' run --scope process sh -c 'exit 3'
for scope in command process; do
    one_line "a missing command, $scope" 127 'no-such-command: No such file' \
        run --scope $scope no-such-command
    one_line "a missing path, $scope" 127 'no/such: No such file' run --scope $scope ./no/such
    one_line "what is not executable, $scope" 126 'passwd: Permission denied' \
        run --scope $scope /etc/passwd
    one_line "a directory, $scope" 126 '/tmp: Permission denied' run --scope $scope /tmp
    printf 'echo script "$@"' >script && chmod +x script
    expect "a script without #!, $scope" 0 'script a b' run --scope $scope ./script a b
done

expect "closed stderr: the command runs" 3 '' sh -c "exec 2>&-; $lockctl run --table table sh -c 'exit 3'"
expect "closed stderr: it stays closed" 0 'closed' sh -c \
    "exec 2>&-; $lockctl run --table table sh -c '[ -e /proc/self/fd/2 ] || echo closed'"
expect "all closed" 0 '' sh -c "exec <&- >&- 2>&-; $lockctl run --table table true"
expect "a wrong setting with closed stderr" 78 '' sh -c "exec 2>&-; $lockctl run --scope x true"
expect "output to a full device" 1 '.*could not be written' \
    sh -c "$lockctl env --table table >/dev/full"
# Beyond what the command would have by itself, only numbers high up.
bash -c 'cd /proc/self/fd && echo *' </dev/null | tr ' ' '\n' | awk '$1 < 100' | sort >without
run bash -c 'cd /proc/self/fd && echo *' </dev/null | tr ' ' '\n' | awk '$1 < 100' | sort >with
check "no low descriptor is left to the command" diff without with

many=()
for i in $(seq 3000); do many+=(--table "/tmp/lockctl-none/some-longer-name-of-a-table-$i"); done
one_line "too many tables for an environment" 78 '3000 tables need .* bytes' \
    "$lockctl" env "${many[@]}"
finish
