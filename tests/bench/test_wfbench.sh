#!/bin/bash
# wfbench at its small sizes: every figure (a) to (k) is there with its baseline, as a table and as JSON, and nothing
# is left behind. What it measures is not judged here.
set -uo pipefail

wfbench=${BUILD:-build/release}/wfbench
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
passed=0
failed=0

# check NAME COMMAND…: the command succeeds.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name"
        printf '%s\n' "$said" | tail -n 20
    fi
}

table() {
    "$wfbench" --quick --dir "$scratch" --wfctl "${WFCTL:-build/release/wfctl}" >"$scratch/table" || return
    local letter
    for letter in a b c d e f g h i j k; do
        grep -q "^($letter) " "$scratch/table" || { echo "no figure ($letter)"; return 1; }
    done
    rm "$scratch/table"
}

# What programs read: names, ratios, verdicts.
json() {
    "$wfbench" --quick --dir "$scratch" --wfctl "${WFCTL:-build/release/wfctl}" --runs 2 --only a,e,waiting -o json \
        >"$scratch/json" || return
    local name
    for name in single memory_made memory_used waiting_first waiting_all waiting_disk quiet_first quiet_all quiet_disk; do
        grep -q "\"name\": \"$name\"" "$scratch/json" || { echo "no $name"; return 1; }
    done
    # Seven of the nine have a baseline, and a number for its ratio.
    [ "$(grep -cE '"ratio": [0-9.]+' "$scratch/json")" = 7 ] || { echo "ratios are missing"; return 1; }
    [ "$(grep -cE '"floor_met": (true|false)' "$scratch/json")" = 9 ] || { echo "verdicts are missing"; return 1; }
    rm "$scratch/json"
}

unknown_figure() {
    "$wfbench" --only nothing 2>"$scratch/said"
    local status=$?
    grep -q nothing "$scratch/said" && rm "$scratch/said" && [ $status = 2 ]
}

nothing_left() {
    [ -z "$(ls -A "$scratch")" ]
}

check "the table has every figure" table
check "JSON has every run and ratio" json
check "an unknown figure is a mistake of usage" unknown_figure
check "nothing is left behind" nothing_left
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
