#!/bin/sh
# Checks the models of the lock's protocol in all their orders, and that they find out each step that
# is left out.
set -eu
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d /tmp/lockshim-test-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0

# verify [OPTION...]: spin's verdict in file said; succeeds if there is no error in the model.
verify() {
    rm -f pan* ./*.trail
    spin -a "$@" "$here/$model" >said 2>&1 || return 2
    ${CC:-gcc} -O1 -w -DSAFETY -DCOLLAPSE -o pan pan.c >>said 2>&1 || return 2
    ./pan -m400000 >>said 2>&1 || return 2
    grep -q "errors: 0" said && ! grep -q "max search depth too small" said
}

# holds NAME [OPTION...]: the protocol as it is, with all claims.
holds() {
    name=$1
    shift
    if verify "$@"; then
        echo "ok $name: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' said) states, no error"
        passed=$((passed + 1))
    else
        echo "not ok $name"
        sed 's/^/    /' said
        failed=$((failed + 1))
    fi
}

# breaks STEP CLAIM [OPTION...]: without that step, that claim is found to be violated.
breaks() {
    step=$1 claim=$2 status=0
    shift 2
    verify "-DWITHOUT_$step" "$@" || status=$?
    found=$(sed -n 's/^pan:[0-9]*: \(.*\) (at depth.*/\1/p' said)
    case $status-$found in
    1-*"$claim"*)
        echo "ok without $step: $found"
        passed=$((passed + 1))
        ;;
    *)
        echo "not ok without $step: '$claim' is not found out"
        sed 's/^/    /' said
        failed=$((failed + 1))
        ;;
    esac
}

command -v spin >/dev/null || { echo "not ok there is no spin" && exit 1; }
model=break.pml
holds "report" -DRECOVER
holds "fail" -DRECOVER -DFAIL
holds "rollback" -DROLLBACK
holds "rollback, recover" -DROLLBACK -DRECOVER -DSESSIONS=1
holds "two breaks" -DBREAKERS=2 -DSESSIONS=1
holds "two breaks, rollback" -DBREAKERS=2 -DSESSIONS=1 -DROLLBACK

# Nobody but who has the lock changes the table; so no broken holder does.
changes="locked==id"
breaks FENCE "$changes" -DCHANGES_ALONE
breaks WAITING "$changes"
breaks FRESH_INODES "$changes"
breaks FRESH_INODES "$changes" -DROLLBACK
# A break frees what it named, replaces files only while that has the lock, and harms nobody who has let
# go in order.
breaks CHECKING "locked==0"
breaks EXCLUSION "locked==0" -DBREAKERS=2 -DSESSIONS=1
breaks COUNTED_RELEASE "fence_acquisition[0]==named"
breaks OVER "!(refused)||holds[id]"
# Who comes next knows.
breaks MARK "!(half_written)||crashed"
breaks SETTLING "!(half_written)||crashed"
breaks CRASHED "!(half_written)" -DRECOVER -DFAIL
breaks RECOVERERS_LOCK "!(half_written)" -DRECOVER -DFAIL
# The table is as it was before, or as its last owner left it.
whole="!(half_written)&&(present==acknowledged)"
breaks ROLLBACK "$whole" -DROLLBACK
breaks JOURNAL_FIRST "$whole" -DROLLBACK
breaks COMMIT "$whole" -DROLLBACK
breaks RECOVERERS_LOCK "$whole" -DROLLBACK -DRECOVER -DSESSIONS=1
# Nobody waits for ever.
breaks DROPPED_EXCLUSION "invalid end state" -DBREAKERS=2 -DSESSIONS=1

# Members of a command that nobody knew of when the break began.
model=command.pml
holds "a command"
for step in MARK SCAN NAME LATEST LEAVING; do
    breaks $step "locked==1"
done
breaks OUTCOME settled
breaks LAST_LOOK settled
echo "$passed passed, $failed failed"
[ $failed = 0 ]
