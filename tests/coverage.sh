#!/bin/sh
# Builds with counters, runs the named checks, and tells what they came to. A check that fails is
# told, and what it came to counts. Called by make, which tells MAKE and BUILD (tests/coverage.mk).
set -u
cd "$(dirname "$0")/.." || exit 1
make_counted() {
    "${MAKE:-make}" --no-print-directory -s BUILD="$BUILD" OPTIMIZE='-O0 -g' SHIM_MUSL_CC= \
        CFLAGS='--coverage -fprofile-update=atomic' LDFLAGS=--coverage "$@"
}
mkdir -p "$BUILD"
make_counted all || exit 1
find "$BUILD" -name '*.gcda' -delete
# Whoever runs a guarded program adds to the files.
find "$BUILD" -type d -exec chmod a+rwx {} +
failed=
for check; do
    make_counted "$check" || failed="$failed $check"
done
gcovr --root . --object-directory "$BUILD" --filter 'shim/' --filter 'lockctl/' --filter 'store/' \
    --exclude-unreachable-branches --gcov-ignore-parse-errors \
    --html-details "$BUILD/index.html" --json-summary "$BUILD/summary.json" "$BUILD" >"$BUILD/gcovr.log" 2>&1 || {
    tail -n 5 "$BUILD/gcovr.log"
    exit 1
}
python3 - "$BUILD/summary.json" <<'END'
import collections, json, os, sys
folders = collections.defaultdict(lambda: [0, 0, 0, 0])
for file in json.load(open(sys.argv[1]))["files"]:
    counts = [file[name] for name in ("line_covered", "line_total", "branch_covered", "branch_total")]
    for folder in (os.path.dirname(file["filename"]), "all"):
        folders[folder] = [a + b for a, b in zip(folders[folder], counts)]
def share(part, whole):
    return "%5.1f %%  %6d" % (100 * part / whole if whole else 100, whole)
print("%-24s %17s %17s" % ("folder", "lines      of", "branches      of"))
for folder, counts in sorted(folders.items(), key=lambda item: (item[0] == "all", item[0])):
    print("%-24s %17s %17s" % (folder, share(*counts[:2]), share(*counts[2:])))
END
echo "details: $BUILD/index.html"
[ -z "$failed" ] || echo "these checks failed:$failed"
