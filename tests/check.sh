#!/bin/sh
# All tests, on a machine that has nothing yet: installs what is missing (as root or through sudo),
# builds, and tests.
set -eu
cd "$(dirname "$0")/.."
if ! command -v make >/dev/null; then
    sh tests/install-deps.sh make
fi
make deps
make check
