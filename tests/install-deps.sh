#!/bin/sh
# Installs those of the named Debian packages that are missing, as root or through sudo.
# It touches nothing that is already there, so that a second run costs a few milliseconds.
set -eu
missing=
for package in "$@"; do
    case $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || :) in
    ii*) continue ;;
    esac
    # A tool that came by another way than Debian's package serves as well.
    case $package in
    nodejs) command -v node >/dev/null && continue ;;
    npm) command -v npm >/dev/null && continue ;;
    libpython3-testsuite) /usr/bin/python3 -c 'import test.test_os' 2>/dev/null && continue ;;
    esac
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" -eq 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
# Debian names this one after the minor version of its python3.
case $missing in
*libpython3-testsuite*)
    python=$(apt-cache depends python3 | sed -nE 's/.*Depends: (python3\.[0-9]+)$/\1/p')
    missing=$(echo "$missing" | sed "s/libpython3-testsuite/${python:+lib$python-testsuite}/")
    ;;
esac
# shellcheck disable=SC2086  # a list of package names, none of which holds a blank
$sudo apt-get install -q -y --no-install-recommends $missing
