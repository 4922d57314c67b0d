#!/bin/bash
# Runs test programs, WF_TEST_JOBS (as many as there are processors) at a time, and ends with one plain
# line: "N passed, N failed".
#
#   tests/run.sh PROGRAM…
#
# A program is a cmocka program, a fuzz target (build/fuzz/…), or anything else that exits with 0 when
# all is well: that counts as one test, unless its last lines hold an "N passed, N failed" of its own.
# Output is shown only of what failed: of a fuzz target without the lines that tell how it gets on, but
# with the input that it failed on (`base64 -d | gunzip` gives it back). A program that hangs is killed
# after WF_TEST_TIMEOUT seconds (default 300, 1800 under a sanitizer (SAN), 7200 with WF_TEST_LONG=1). A fuzz target runs its corpus
# and then goes on for WF_FUZZ_SECONDS (0, or 300 with WF_TEST_LONG=1). WF_TEST_UNDER is a command under
# which the others run.
set -uo pipefail

long=${WF_TEST_LONG:-}
timeout_s=300
[ -z "${SAN:-}" ] || timeout_s=1800
[ -z "$long" ] || timeout_s=7200
timeout_s=${WF_TEST_TIMEOUT:-$timeout_s}
fuzz_s=${WF_FUZZ_SECONDS:-$([ -n "$long" ] && echo 300 || echo 0)}

read -ra under <<<"${WF_TEST_UNDER:-}"
jobs_max=${WF_TEST_JOBS:-$(nproc 2>/dev/null || echo 1)}

work=$(mktemp -d) # of each program N: its output N.log, the lines about it N.said, its counts N.sum
scratch=$(mktemp -d)
chmod 755 "$scratch" # some tests drop their privileges
trap 'rm -rf "$work" "$scratch"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; exit 130' INT TERM
export TMPDIR=$scratch
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=0:second_deadlock_stack=1}

# Sums the numbers that the extended regular expression $1 captures, over all of the log $2.
sum_log() {
    sed -nE "s/$1/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'
}

# Becomes the program: for a subshell. A fuzz target leaves the inputs that it fails on below $2.
run_program() {
    case $1 in
    *build/fuzz/*)
        # The corpus stays as it is: what is found goes to a folder that is thrown away. Seeds of
        # binary formats are made by the target itself.
        local name=${1##*/} found seeds limit=(-runs=0)
        found=$(mktemp -d)
        seeds=$(mktemp -d)
        mkdir "$2"
        FUZZ_SEEDS=$seeds "$1" -runs=0 || exit
        local corpus=("$found" "$seeds")
        [ -d "tests/fuzz/corpus/$name" ] && corpus+=("tests/fuzz/corpus/$name")
        [ "$fuzz_s" -gt 0 ] && limit=(-max_total_time="$fuzz_s")
        exec timeout -k 10 "$((fuzz_s + 120))" "$1" "${limit[@]}" -max_len=65536 -rss_limit_mb=2048 -timeout=20 \
            -print_final_stats=1 -artifact_prefix="$2/" "${corpus[@]}"
        ;;
    *) exec timeout -k 10 "$timeout_s" "${under[@]}" "$1" ;;
    esac
}

# What there is to see of a failure: of the log $1 the end, and the inputs below $2 where it is a fuzz
# target's. libFuzzer itself shows an input only where it is short.
tell_failure() {
    local input
    grep -avE "^\[ +(RUN|OK) +\]|$fuzz_progress" "$1" | tail -n 200
    for input in "$2"/*; do
        if [ -f "$input" ]; then
            echo "${input##*/}, $(stat -c %s "$input") bytes, gzip in base64:"
            gzip -9nc "$input" | base64
        fi
    done
}
fuzz_progress='^#[0-9]+[[:space:]]+(READ|INITED|NEW|REDUCE|RELOAD|pulse|DONE) '

# run_one N PROGRAM: run it, judge it, leave what is to be said.
run_one() {
    local log=$work/$1.log program=$2 start_ns status ms good bad own name reason child note=''
    local inputs=$work/$1.inputs
    start_ns=$(date +%s%N)
    [[ $program == */* ]] || program=./$program
    run_program "$program" "$inputs" >"$log" 2>&1 </dev/null &
    child=$!
    trap 'kill "$child" 2>/dev/null; exit' TERM
    wait "$child" 2>/dev/null # the shell's word about a crash stands in no log
    status=$?
    ms=$((($(date +%s%N) - start_ns) / 1000000))

    good=$(sum_log '^\[  PASSED  \] ([0-9]+) test.*' "$log")
    bad=$(sum_log '^\[  FAILED  \] ([0-9]+) test.*' "$log")
    own=$(grep -aE '^[0-9]+ passed, [0-9]+ failed$' "$log" | tail -n 1)
    if [ -n "$own" ]; then
        good=${own%% *}
        bad=${own#*, }
        bad=${bad%% *}
    elif [ $((good + bad)) = 0 ]; then
        good=$((status == 0 ? 1 : 0))
    fi
    # A crash, a sanitizer's report at exit, a timeout: a failure even where every test said PASSED.
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
        bad=1
    fi

    name=${program#./}
    name=${name#build/*/}
    if [ "$bad" = 0 ]; then
        [[ $program == *build/fuzz/* ]] && note=" ($(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs)"
        printf 'ok    %-44s %5d tests %8d.%03d s%s\n' "$name" "$good" $((ms / 1000)) $((ms % 1000)) "$note"
    else
        reason="exit status $status"
        [ "$status" = 124 ] || [ "$status" = 137 ] && reason="killed after its timeout"
        printf 'FAIL  %-44s %5d failed %7d.%03d s  %s\n' "$name" "$bad" $((ms / 1000)) $((ms % 1000)) "$reason"
        tell_failure "$log" "$inputs" | sed 's/^/      /'
    fi >"$work/$1.said"
    echo "$good $bad $name" >"$work/$1.sum"
}

# Wait for one program, and say what there is to say.
collect() {
    local pid number
    wait -n -p pid
    number=${running[$pid]}
    unset "running[$pid]"
    cat "$work/$number.said"
    rm -f "$work/$number.log"
}

declare -A running=() # its number, by its process
number=0
for program in "$@"; do
    number=$((number + 1))
    run_one "$number" "$program" &
    running[$!]=$number
    [ ${#running[@]} -lt "$jobs_max" ] || collect
done
while [ ${#running[@]} -gt 0 ]; do
    collect
done

passed=0
failed=0
failures=()
for ((i = 1; i <= number; i++)); do
    read -r good bad name <"$work/$i.sum"
    passed=$((passed + good))
    failed=$((failed + bad))
    [ "$bad" = 0 ] || failures+=("$name")
done
if [ ${#failures[@]} -gt 0 ]; then
    echo "failed: ${failures[*]}"
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
