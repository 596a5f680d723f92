#!/bin/sh
# The demonstration, on a machine that has nothing yet: installs what is missing (as root or through
# sudo), builds, and shows what is lost without a guard and what with one.
set -eu
cd "$(dirname "$0")/.."
if ! command -v make >/dev/null; then
    sh tests/install-deps.sh make
fi
# Only what the demonstration needs; tests/check.sh brings all that the tests use.
make deps DEPS_TEST='recutils python3' DEPS_LINT=
make demo
