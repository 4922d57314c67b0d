#!/bin/bash
# What bash completes: nouns, verbs, options, and what a store holds. Everything that wfctl offers is
# known to `wfctl help` and to the manual.
set -uo pipefail
# shellcheck source=tools/completion/wfctl.bash
source tools/completion/wfctl.bash
wfctl=${WFCTL:-build/wfctl}
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
passed=0
failed=0

# expect "WORDS THAT ARE OFFERED" WORD…: completing the last word gives exactly these.
expect() {
    local wanted=$1 got
    shift
    COMP_WORDS=("$wfctl" "$@")
    COMP_CWORD=$#
    _wfctl
    got=${COMPREPLY[*]}
    if [ "$got" = "$wanted" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "wfctl $* completes to '$got', not '$wanted'"
    fi
}

expect "workflow worker wal" w
expect "start submit show" -d /nowhere workflow s
expect "--status --stage" workflow list --s
expect "running rolling_back" workflow list --status r
expect "text json jsonl" -o ""
expect "status dump verify repair" help wal ""
expect "snapshot.before_commit snapshot.after_commit" crash run --at s
expect "wal.before_sync" exec --crash-at wal.before_sy

mkdir "$store/folder"
"$wfctl" -d "$store/s" init >/dev/null &&
    "$wfctl" -d "$store/s" workflow start loan_application --id L-17 >/dev/null &&
    "$wfctl" -d "$store/s" workflow start loan_application --id L-18 >/dev/null
expect "L-17 L-18" -d "$store/s" workflow show L
expect "L-18" -d "$store/s" workflow submit --key k L-18
expect "" -d "$store/s" workflow submit L-17 L
expect "L-17 L-18" -d "$store/s" replay --workflow L
expect "loan_application" -d "$store/s" workflow start lo
expect "$store/folder" backup "$store/f"
expect "$store/s" -d "$store/s"
: >"$store/commands"
expect "$store/commands" crash run --sweep --exec "$store/c"

# Every noun, verb and option is known to help and to the manual.
manual=$(sed 's/\\-/-/g; s/\\f[BIR]//g' docs/man/wfctl.1)
known() {
    if "$wfctl" help "$@" >/dev/null 2>&1 && grep -qF -- "$*" <<<"$manual"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "not in 'wfctl help' or not in docs/man/wfctl.1: $*"
    fi
    local option
    for option in $("$wfctl" complete "$@" --); do
        if ! grep -qF -- "$option" <<<"$manual"; then
            failed=$((failed + 1))
            echo "not in docs/man/wfctl.1: $* $option"
        fi
    done
}
for noun in $("$wfctl" complete "" | grep -v '^help$'); do
    mapfile -t verbs < <("$wfctl" complete "$noun" "")
    if [ ${#verbs[@]} = 0 ]; then known "$noun"; fi
    for verb in "${verbs[@]}"; do known "$noun" "$verb"; done
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
