#!/bin/bash
# A seed repeats a run of the simulation exactly: the same states in the same order. Another seed is another run.
set -uo pipefail
build=${BUILD:-build/release}
passed=0
failed=0

# fingerprint PROGRAM SEED: of all states that were explored, and how many there were in which scenario.
fingerprint() {
    SEED=$2 SIM_STATES=600 HISTORIES=60 "$build/tests/sim/$1" 2>&1 | sed -nE 's/^(fingerprint .*|.* crash states).*/\1/p'
}

for program in sim_wal sim_engine sim_session; do
    first=$(fingerprint $program 17)
    if [[ $first == *fingerprint* ]] && [ "$first" = "$(fingerprint $program 17)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$program: SEED=17 does not repeat: $first"
    fi
    if [ "$(tail -n 1 <<<"$first")" != "$(fingerprint $program 18 | tail -n 1)" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$program: two seeds, one run"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
