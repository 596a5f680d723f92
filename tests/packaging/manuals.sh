#!/bin/bash
# The manual pages against the sources: every setting with its values, verdict, scope, errno and
# notice that the program has stands in the pages that list them, and nothing else does; and the
# pages refer to one another. Called by make, which tells BUILD.
# shellcheck source=tests/packaging/common.sh
. "$(dirname "$0")/common.sh"
# section NAME PAGE: the lines of one section.
section() { sed -n "/^\.Sh $1\$/,/^\.Sh /p" "$2"; }

# --- settings: those of the table in shim/settings.c ---
settings=$(sed -nE 's/^ *\{"([a-z-]+)", "LOCKSHIM_[A-Z_]+", set_.*/\1/p' shim/settings.c)
variables=$(sed -nE 's/^ *\{"[a-z-]+", "(LOCKSHIM_[A-Z_]+)", set_.*/\1/p' shim/settings.c)
same "settings are found in the source" yes "$([ "$(wc -w <<<"$settings")" -gt 5 ] && echo yes)"
same "the keys of lockshim.conf(5)" "$(words <<<"$settings eager")" \
    "$(sed -nE 's/^\.It Cm ([a-z-]+) No = .*/\1/p' man/lockshim.conf.5 | words)"
same "the variables of liblockshim.so(8)" \
    "$(words <<<"$variables LOCKSHIM_TABLE LOCKSHIM_TABLES LOCKSHIM_EAGER LOCKSHIM_TRACE")" \
    "$(section ENVIRONMENT man/liblockshim.so.8 | sed -nE 's/^\.It Ev (LOCKSHIM_[A-Z_]+)$/\1/p' | words)"
chosen=0
for setting in $settings; do
    values=$("$BUILD/lockctl" env --config /dev/null --table /none --"$setting" '' 2>&1 |
        sed -nE 's/.* policy \((.*)\)$/\1/p; s/.* scope \((.*)\)$/\1/p' | tr -d , | words)
    [ -n "$values" ] || continue
    chosen=$((chosen + 1))
    same "lockshim.conf(5): the values of $setting" "$values" \
        "$(sed -nE "s/^\.It Cm $setting No = Cm (.*)/\1/p" man/lockshim.conf.5 | tr -d '|' | words)"
    variable=LOCKSHIM_$(tr a-z- A-Z_ <<<"$setting")
    told=$(sed -n "/^\.It Ev $variable\$/,/^The default/p" man/liblockshim.so.8)
    for value in $values; do
        same "liblockshim.so(8): $variable can be $value" "$value" "$(grep -owe "$value" <<<"$told" | words)"
    done
done
same "settings with values to choose from are found" 4 "$chosen"

# --- what lockshim(7) explains ---
# listed SECTION: the items of a section's list.
listed() { section "$1" man/lockshim.7 | sed -nE 's/^\.It (Cm|Bq Er) ([A-Za-z]+)$/\2/p' | words; }
verdicts=$(sed -nE '/VERDICT_FREE\] = /,/^\};/p' lockctl/inspect/verdict.c | grep -oE '\{"[a-z]+"' | tr -d '{"' | words)
same "verdicts are found in the source" yes "$([ "$(wc -w <<<"$verdicts")" -gt 5 ] && echo yes)"
same "the verdicts of lockshim(7)" "$verdicts" "$(listed VERDICTS)"
scopes=$(sed -nE '/struct choice scopes\[\]/,/NULL/p' shim/settings.c | grep -oE '"[a-z]+"' | tr -d '"' | words)
same "the scopes of lockshim(7)" "$scopes" "$(listed SCOPES)"
policies=$(sed -nE '/struct choice crash_policies\[\]/,/NULL/p' shim/settings.c | grep -oE '"[a-z]+"' | tr -d '"' | words)
same "what on-crash can be, in lockshim(7)" "$policies" "$(listed 'CRASHES AND ROLLBACK')"

# --- errors: those that a refusal has a text for, and those of the journal ---
errors=$({
    sed -n '/refusal_text(const/,/^}/p' shim/report.c | grep -oE 'case E[A-Z]+'
    grep -oE 'touch->error = E[A-Z]+' shim/undo.c
} | grep -oE 'E[A-Z]+$' | words)
same "errors are found in the source" yes "$([ "$(wc -w <<<"$errors")" -gt 5 ] && echo yes)"
same "the errors of lockshim(7)" "$errors" "$(listed 'ERROR NUMBERS')"
same "the errors of liblockshim.so(8)" "$(words <<<"$errors EMFILE")" \
    "$(section 'ERROR NUMBERS' man/liblockshim.so.8 | sed -nE 's/^\.It Bq Er (E[A-Z]+)$/\1/p' | words)"

# --- the log ---
notices=0
while IFS= read -r text; do
    notices=$((notices + 1))
    same "liblockshim.so(8) has the notice '$text'" "$text" \
        "$(section DIAGNOSTICS man/liblockshim.so.8 | grep '^\.It' | grep -oF -m1 -e "$text")"
done < <(sed -n '/event_text(enum/,/^}/s/.*return "\(.*\)";/\1/p' shim/report.c)
same "notices are found in the source" yes "$([ "$notices" -gt 5 ] && echo yes)"
same "the status of wrong settings" "$(sed -n 's/#define SETTINGS_EXIT_STATUS //p' shim/settings.h)" \
    "$(section 'EXIT STATUS' man/liblockshim.so.8 | sed -nE '/^\.It 1$/d; s/^\.It ([0-9]+)$/\1/p')"

# --- options: the long ones of every command's --help, anywhere on the page as flags ---
commands=$("$BUILD/lockctl" --help | sed -nE 's/^  ([a-z]+) .*/\1/p')
options=$(for command in $commands; do
    "$BUILD/lockctl" "$command" --help | sed -nE 's/^  (-[a-zA-Z], )?-(-[a-z-]+).*/\2/p'
done | words)
same "options are found in --help" yes "$([ "$(wc -w <<<"$options")" -gt 30 ] && echo yes)"
same "the options of lockctl(1)" "$options" \
    "$(grep -E '^\.(Fl|[A-Z][a-z] (.* )?Fl) ' man/lockctl.1 | tr ' ' '\n' | grep -xE -- '-[a-z][a-z-]+' |
        grep -vxe -version | words)"

# --- references ---
for page in man/*.[1-8]; do
    others=$(for other in man/*.[1-8]; do
        [ "$other" = "$page" ] || basename "$other" | sed -E 's/\.([0-9])$/(\1)/'
    done | words)
    same "$page refers to the others" "$others" "$(section 'SEE ALSO' "$page" |
        sed -nE 's/^\.Xr ([^ ]+) ([0-9]).*/\1(\2)/p' | grep -xFf <(tr ' ' '\n' <<<"$others") | words)"
done
finish
