#!/bin/bash
# A real program's own tests: what Python's expect of files, directories and children holds under
# every scope, with the directory that they work in as the table.
# shellcheck disable=SC2086
# shellcheck source=tests/e2e/common.sh
. "$(dirname "$(realpath "$0")")/common.sh"
limit=300

modules="test_os test_posix test_fileio test_file test_tempfile test_shutil test_glob test_pathlib
    test_mailbox test_dbm test_dbm_dumb test_shelve test_filecmp test_fileinput test_import
    test_py_compile test_zipimport test_netrc test_genericpath test_posixpath test_bufio
    test_unicode_file_functions test_pkgutil test_runpy test_zipapp test_cmd_line_script test_popen
    test_gzip"
if ! "$python" -c "import test.test_os, test.test_shutil" 2>/dev/null; then
    skip "Python's own tests: not installed (libpython3-testsuite)"
    finish
fi
# What failed, and how many were run of each module.
tests() {
    fresh
    TMPDIR=$work/T "$@" "$python" -m test -v --tempdir "$work/T" --timeout 100 $modules </dev/null \
        >out 2>&1
    grep -E '^test.* \.\.\. (ERROR|FAIL)$|^(ERROR|FAIL): |^Ran |Timeout \(' out |
        sed -E 's/^(ERROR|FAIL): //; s/ \.\.\. .*//; s/ in [0-9.]+s$//' | sort | uniq -c
}
# The same ones fail as without a guard (some always do, as root or in a container), and none else.
bare=$(tests within)
check "without a guard they are run" test "$(grep -c ' Ran [0-9]* tests' <<<"$bare")" -ge 20
for scope in process session call; do
    for on_crash in report rollback; do
        guarded=$(LOCKSHIM_ON_CRASH=$on_crash tests guard $scope)
        same "$scope, $on_crash: they do as without a guard" "" "$(diff <(echo "$bare") <(echo "$guarded"))"
    done
done
finish
