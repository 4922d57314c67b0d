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

# Programs run at the same time, and each is told whole.
program waits "echo here >$work/waits.here; until [ -e $work/comes.here ]; do sleep 0.01; done"
program comes "echo here >$work/comes.here; until [ -e $work/waits.here ]; do sleep 0.01; done"
limit_s=30 WF_TEST_JOBS=2 expect 0 "2 passed, 0 failed" ./waits ./comes
WF_TEST_JOBS=1 expect 0 "5 passed, 0 failed" ./good ./plain ./plain

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
