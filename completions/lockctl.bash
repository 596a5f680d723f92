# bash completion for lockctl and tablestore.
#
# Which commands, options and columns there are is asked of the program's own --help, each time, so
# that nothing here can differ from it. Only values that help tells in prose are listed.
# It must never run anything but --help.

# Reads a --help; prints a line "OPTION ARGUMENT" for each option, also under its letter.
_lockctl_options() {
    "$1" "$2" --help 2>/dev/null </dev/null | sed -nE '
        s/^  (-(.), )?(--[a-z][a-z-]*)(\[?[ =]([A-Z]+).*| .*)?$/\3 \5\n-\2 \5/
        T
        s/\n- .*//
        p'
}

# The same for tablestore, whose help is one for all commands: the options of command $2.
_tablestore_options() {
    "$1" --help 2>/dev/null </dev/null | awk -v command="$2" '
        function tell() { if (option != "" && mine) print option; option = "" }
        /^  --/ { tell(); option = $1 " " $2; mine = 1 }
        /^      \(.*\)$/ { gsub(/[(),]/, " "); mine = index(" " $0 " ", " " command " ") > 0 }
        END { tell() }'
}

_lockctl_commands() {
    "$1" --help 2>/dev/null </dev/null | sed -nE '/^Commands:/,/^$/s/^  ([a-z][a-z-]*) .*/\1/p'
}

_lockctl_columns() {
    "$1" "$2" --help 2>/dev/null </dev/null | sed -nE '/^Columns:/,/^$/s/^  ([^ ]+) .*/\1/p'
}

# Candidates that begin with $1, one a line; names of files may have blanks.
_lockctl_offer() {
    mapfile -t COMPREPLY < <(compgen "${@:2}" -- "$1")
}

_lockctl_files() {
    _lockctl_offer "$1" -f
    compopt -o filenames 2>/dev/null
}

# The value of option $2, which help calls $3.
_lockctl_value() {
    local current=$1 option=$2 head
    case $option in
    --scope) _lockctl_offer "$current" -W "command process session call" ;;
    --on-crash) _lockctl_offer "$current" -W "report fail rollback" ;;
    --dependents) _lockctl_offer "$current" -W "join wait" ;;
    --lost-update) _lockctl_offer "$current" -W "fail report" ;;
    --kill) _lockctl_offer "$current" -W "TERM INT HUP KILL" ;;
    --log)
        mapfile -t COMPREPLY < <(compgen -W "stderr none" -- "$current"; compgen -f -- "$current")
        ;;
    *)
        case $3 in
        COLUMNS)
            head=${current%"${current##*[,+]}"}
            _lockctl_offer "${current#"$head"}" -P "$head" -W "$(_lockctl_columns "$4" "$5")"
            compopt -o nospace 2>/dev/null
            ;;
        FILE | PATH | TABLE) _lockctl_files "$current" ;;
        *) COMPREPLY=() ;;
        esac
        ;;
    esac
}

# The place of the command's first word among those of `lockctl run` or `advise`, or nothing.
_lockctl_guarded() {
    local options=$1 i
    for ((i = 2; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --) echo $((i + 1)) && return ;;
        -*)
            if [ "${COMP_WORDS[i + 1]-}" = "=" ]; then
                ((i += 2))
            elif grep -qE -e "^${COMP_WORDS[i]} [A-Z]" <<<"$options"; then
                ((i++))
            fi
            ;;
        *) echo "$i" && return ;;
        esac
    done
    if ((i == COMP_CWORD)) && [[ ${COMP_WORDS[i]} != -* ]]; then echo "$i"; fi
}

# The command behind `lockctl run`, completed as if it stood alone.
_lockctl_command() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        _lockctl_offer "${COMP_WORDS[COMP_CWORD]}" -c
    else
        _lockctl_files "${COMP_WORDS[COMP_CWORD]}"
    fi
}

_lockctl() {
    local program=${COMP_WORDS[0]} kind=${1##*/} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-} options argument first
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _lockctl_offer "$current" -W "$(_lockctl_commands "$program") --help --version"
        return
    fi
    # bash takes --option=value for three words.
    if [ "$current" = "=" ]; then
        current=
    elif [ "$previous" = "=" ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [ "$kind" = tablestore ]; then
        options=$(_tablestore_options "$program" "$command")
    else
        options=$(_lockctl_options "$program" "$command")
    fi
    if [[ $command = run || $command = advise ]]; then
        first=$(_lockctl_guarded "$options")
        if [ -n "$first" ]; then
            _lockctl_command "$first"
            return
        fi
    fi
    argument=$(sed -nE "s/^(${previous//[!a-z-]/.}) ([A-Z]+)$/\2/p" <<<"$options")
    if [[ $previous == -* && -n $argument ]]; then
        _lockctl_value "$current" "$previous" "$argument" "$program" "$command"
    elif [[ $current == -* ]]; then
        _lockctl_offer "$current" -W "$(sed -nE 's/^(--[^ ]*).*/\1/p' <<<"$options")"
    else
        _lockctl_files "$current"
    fi
}

complete -F _lockctl lockctl tablestore
