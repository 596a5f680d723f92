#!/bin/sh
# Checks the model of the lock's protocol in all its orders, and that it finds out each step that is
# left out.
set -eu
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d /tmp/lockshim-test-XXXXXX)
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0 failed=0

# verify [OPTION...]: spin's verdict in $work/said; succeeds if there is no error in the model.
verify() {
    rm -f pan* ./*.trail
    spin -a "$@" "$here/break.pml" >said 2>&1 || return 2
    ${CC:-gcc} -O1 -w -DSAFETY -DCOLLAPSE -o pan pan.c >>said 2>&1 || return 2
    ./pan -m200000 >>said 2>&1 || return 2
    grep -q "errors: 0" said && ! grep -q "max search depth too small" said
}

command -v spin >/dev/null || { echo "not ok there is no spin" && exit 1; }
if verify; then
    echo "ok the protocol: $(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' said) states, no error"
    passed=1
else
    echo "not ok the protocol"
    sed 's/^/    /' said
    failed=1
fi
for step in FENCE WAITING CHECKING FRESH_INODES SETTLING COUNTED_RELEASE OVER; do
    status=0
    verify -DWITHOUT_$step || status=$?
    if [ $status = 1 ]; then
        echo "ok without $step: $(sed -n 's/^pan:[0-9]*: \(.*\) (at depth.*/\1/p' said)"
        passed=$((passed + 1))
    else
        echo "not ok without $step: nothing is found out"
        sed 's/^/    /' said
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
