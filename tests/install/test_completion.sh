#!/bin/bash
# What bash completes: nouns, verbs, options, and what a store holds. Every noun and verb that is
# completed is known to `wfctl help`.
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

expect "workflow wal" w
expect "start submit show" -d /nowhere workflow s
expect "--status --stage" workflow list --s
expect "running rolling_back" workflow list --status r
expect "text json jsonl" -o ""
expect "status dump verify repair" help wal ""
expect "--from --until --workflow --verify --help" replay --

"$wfctl" -d "$store/s" init >/dev/null &&
    "$wfctl" -d "$store/s" workflow start loan_application --id L-17 >/dev/null &&
    "$wfctl" -d "$store/s" workflow start loan_application --id L-18 >/dev/null
expect "L-17 L-18" -d "$store/s" workflow show L
expect "loan_application" -d "$store/s" workflow start lo

while read -r noun verb _; do
    words=("$noun")
    [ "$verb" = - ] || words+=("$verb")
    if "$wfctl" help "${words[@]}" >/dev/null 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "completed, but unknown to wfctl: ${words[*]}"
    fi
done < <(_wfctl_table | grep -v '^help')

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
