#!/bin/sh
# Installs the Debian packages named as arguments that are not there yet. Takes milliseconds where all
# are there; says what it does, and how to do it by hand where it may not.
set -eu

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "deps: not a Debian system; needed are the counterparts of: $*" >&2
    exit 0
fi

installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^ii[^ ]* *//p')
missing=
for package in "$@"; do
    case "
$installed
" in
    *"
$package
"*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "deps: please install, as root: apt-get install$missing" >&2
    exit 1
fi

echo "deps: installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    # shellcheck disable=SC2086 # both are lists of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1
}
if ! install; then
    $as_root apt-get update -q >"$log" 2>&1 || true
    if ! install; then
        cat "$log" >&2
        exit 1
    fi
fi
