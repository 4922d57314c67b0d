#!/bin/sh
# tests/run.sh counts what programs say, and fails on a failure, a crash, a hang, and on no test at all.
set -eu
run=$PWD/tests/run.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

program() {
    printf '#!/bin/sh\n%s\n' "$2" >"$work/$1"
    chmod +x "$work/$1"
}
program good 'echo "[  PASSED  ] 3 test(s)."'
program mixed 'echo "[  PASSED  ] 2 test(s)."; echo "[  FAILED  ] 1 test(s), listed below:"; exit 1'
program leaks 'echo "[  PASSED  ] 2 test(s)."; exit 23'
program plain 'exit 0'
program counts 'echo "12 passed, 0 failed"'
program crash 'kill -SEGV $$'
program hang 'sleep 60'

# expect STATUS "LAST LINE" PROGRAM…
expect() {
    wanted="$1: $2"
    shift 2
    status=0
    last=$(cd "$work" && WF_TEST_TIMEOUT=${limit_s:-1} "$run" "$@" | tail -n 1) || status=$?
    # The pipe hides the runner's status: ask again for it.
    (cd "$work" && WF_TEST_TIMEOUT=${limit_s:-1} "$run" "$@" >/dev/null) || status=$?
    if [ "$status: $last" = "$wanted" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$*: expected '$wanted', got '$status: $last'"
    fi
}

expect 0 "3 passed, 0 failed" ./good
expect 0 "16 passed, 0 failed" ./good ./plain ./counts
expect 1 "5 passed, 1 failed" ./good ./mixed
expect 1 "2 passed, 1 failed" ./leaks
expect 1 "3 passed, 1 failed" ./crash ./good
expect 1 "0 passed, 1 failed" ./hang
expect 1 "0 passed, 1 failed" ./missing
expect 1 "0 passed, 0 failed"

# A fuzz target that cannot make its seeds would look into little, and nobody would know.
mkdir -p "$work/build/fuzz"
# shellcheck disable=SC2016 # the target's own words
program build/fuzz/seedless '[ -z "${FUZZ_SEEDS:-}" ]'
expect 1 "0 passed, 1 failed" build/fuzz/seedless

# Programs run at the same time, and each is told whole.
program waits "echo here >$work/waits.here; until [ -e $work/comes.here ]; do sleep 0.01; done"
program comes "echo here >$work/comes.here; until [ -e $work/waits.here ]; do sleep 0.01; done"
limit_s=30 WF_TEST_JOBS=2 expect 0 "2 passed, 0 failed" ./waits ./comes
WF_TEST_JOBS=1 expect 0 "5 passed, 0 failed" ./good ./plain ./plain

# shows PROGRAM TEXT: what is told of its failure has the text.
shows() {
    if (cd "$work" && "$run" "$1" || true) | grep -qF -- "$2"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$1: its failure is told without '$2'"
    fi
}

# A fuzz target that gets on well, fails on an input, and says so far above its last lines.
# shellcheck disable=SC2016 # the target's own words
program build/fuzz/target '
[ -z "${FUZZ_SEEDS:-}" ] || exit 0
for word; do case $word in -artifact_prefix=*) prefix=${word#*=} ;; esac; done
[ -z "${prefix:-}" ] || echo "the input" >"${prefix}crash-1"
echo "==1==ERROR: AddressSanitizer: heap-buffer-overflow"
for i in $(seq 200); do printf "#%d\tNEW    cov: 1\n#%d\tREDUCE cov: 1\n#%d\tpulse  cov: 1\n" "$i" "$i" "$i"; done
exit 77'
shows build/fuzz/target "ERROR: AddressSanitizer"
shows build/fuzz/target "crash-1, 10 bytes"
shows build/fuzz/target "$(echo "the input" | gzip -9n | base64)"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
