#!/bin/bash
# Plants the bugs of tests/mutants/*.patch, one at a time, and asks the quick tests to notice.
#
#   make mutants                     all of them
#   make mutants MUTANTS="wal- 056"  only the patches whose name holds "wal-" or "056"
#
# The tree is copied, built once, and copied again for each worker; the tree itself stays as it is. A
# mutant is caught when a test fails with it that passes without it. A mutant that survives, a patch
# that no longer applies or compiles, and a test that fails without any mutant are failures of the
# run. tests/mutants/README.md says how a patch is written and what it means when one survives.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly workers_max=2
# Asked where those of the patch noticed nothing, in the order in which they are likely to.
readonly -a groups=(tests/unit/ tests/cli/ tests/sim/)
pattern=${MUTANTS:-}
variant=${BUILD:-$PWD/build/release}
variant=${variant#"$PWD"/}
# Of the make that called us: the copies are built on their own, where warnings may stand.
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES BUILD WFCTL ONLY MUTANTS CI WERROR

work=$(mktemp -d)
export GIT_CEILING_DIRECTORIES=$work # or git apply would look for a repository around it
pids=()
# A worker and what it runs are one process group each.
clean_up() {
    for pid in "${pids[@]}"; do
        kill -- "-$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
mkdir "$work/plain" "$work/claims" "$work/results" "$work/baseline"

# --- tests ---------------------------------------------------------------------------------------

# Run the tests whose program's name holds $2 in the copy $1; the output goes to the file $3.
run_tests() {
    local targets=("$variant/wfctl" test)
    [[ $2 == *unit/* ]] && targets=(test)
    # A mutant that hangs need not be watched for long, and one of ten crash states shows as much.
    SIM_STATES=10000 WF_TEST_JOBS=1 WF_TEST_TIMEOUT=120 make -s --no-print-directory -C "$1" JOBS=1 ONLY="$2" "${targets[@]}" \
        >"$3" 2>&1 </dev/null
}

# The programs below tests/unit that the filters of the patches name, as make knows them.
unit_programs() {
    local filter source
    for filter in $(for patch in "${patches[@]}"; do filters_of "$patch"; done | tr ' ' '\n' | sort -u); do
        for source in tests/unit/test_*.c; do
            [[ $filter == *unit/* && $source == *"$filter"* ]] && echo "$variant/${source%.c}"
        done
    done
}

# Did the tests of the output $1 run at all?
has_sum() {
    grep -qE '^[0-9]+ passed, [0-9]+ failed$' "$1"
}

# The tests that failed, by the output of tests/run.sh: those of cmocka by name, others by program.
failed_tests() {
    awk '/^(ok|FAIL) / && unnamed != "" { print unnamed; unnamed = "" }
         /^ok / { program = "" }
         /^FAIL / { program = unnamed = $2 }
         program != "" && /\[  FAILED  \] [a-z_0-9]+$/ { print program ": " $NF; unnamed = "" }
         END { if (unnamed != "") print unnamed }' "$1" | awk '!seen[$0]++'
}

# What fails of $1 without any mutant: a file, made once.
baseline_of() {
    local name="$work/baseline/${1//\//_}"
    (
        flock 9
        if [ ! -e "$name.failed" ]; then
            run_tests "$work/plain" "$1" "$name.log" || true
            has_sum "$name.log" || echo "(nothing ran)" >"$name.none"
            failed_tests "$name.log" >"$name.failed"
        fi
    ) 9>"$work/baseline.lock"
    echo "$name"
}

# --- one mutant ----------------------------------------------------------------------------------

header_of() {
    sed '/^--- /,$d' "$1"
}

filters_of() {
    header_of "$1" | sed -n 's/^tests: *//p'
}

# Ask the tests of $2 in the tree $1: sets $verdict, and $caught to the first test that fails, but
# not without the mutant.
verdict=
caught=
ask() {
    local log=$1.log base
    verdict=survived
    caught=
    if run_tests "$1" "$2" "$log"; then
        return
    fi
    base=$(baseline_of "$2")
    if [ -e "$base.none" ]; then
        verdict=broken
        caught="no test program has \"$2\" in its name"
    elif ! has_sum "$log"; then
        verdict='does not compile'
    else
        failed_tests "$log" >"$1.failed"
        caught=$(grep -m 1 -vxFf "$base.failed" "$1.failed" || true)
        verdict=${caught:+caught}
        verdict=${verdict:-survived}
    fi
}

# Judge the patch $2 in the tree $1: sets $verdict and $caught.
judge() {
    local tree=$1 patch=$2 filters filter
    caught=
    if ! (cd "$tree" && git apply --recount -C1 "$patch") 2>"$tree.log"; then
        verdict='does not apply'
        return
    fi
    filters=$(filters_of "$patch")
    for filter in $filters "${groups[@]}"; do
        ask "$tree" "$filter"
        [ "$verdict" = survived ] || break
    done
    if [ "$verdict" = caught ] && [[ " $filters " != *" $filter "* ]]; then
        caught="$caught (not in its tests: line)"
    fi
    (cd "$tree" && git apply --recount -C1 -R "$patch")
}

worker() {
    local tree=$1 patch name start_ns ms
    for patch in "${patches[@]}"; do
        name=$(basename "$patch" .patch)
        mkdir "$work/claims/$name" 2>/dev/null || continue
        start_ns=$(date +%s%N)
        judge "$tree" "$patch"
        ms=$((($(date +%s%N) - start_ns) / 1000000))
        printf '%s\n' "$verdict" >"$work/results/$name"
        if [ "$verdict" = caught ]; then
            printf 'ok    %-44s %5d.%03d s  %s\n' "$name" $((ms / 1000)) $((ms % 1000)) "$caught"
        else
            printf 'FAIL  %-44s %5d.%03d s  %s%s\n' "$name" $((ms / 1000)) $((ms % 1000)) "$verdict" \
                "${caught:+: $caught}"
            printf '      %s\n' "$(header_of "$patch" | head -n 1)"
            if [ "$verdict" != survived ]; then
                head -n 10 "$tree.log" | sed 's/^/      /'
            fi
        fi
    done
}

# --- the run -------------------------------------------------------------------------------------

# Does the name $1 hold one of the words of MUTANTS?
is_wanted() {
    local word
    [[ $pattern != *[![:space:]]* ]] && return 0
    for word in $pattern; do
        [[ $1 == *"$word"* ]] && return 0
    done
    return 1
}

patches=()
for patch in "$PWD"/tests/mutants/*.patch; do
    if [ -e "$patch" ] && is_wanted "$(basename "$patch" .patch)"; then
        patches+=("$patch")
    fi
done
if [ ${#patches[@]} = 0 ]; then
    echo "no patch in tests/mutants has \"$pattern\" in its name" >&2
    echo "0 passed, 1 failed"
    exit 1
fi

# What git knows, and new files that it does not ignore; a file that was deleted is not there.
git ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
    tar --null --files-from=- -cf - | tar -C "$work/plain" -xf -
patches=("${patches[@]/#"$PWD"/"$work/plain"}") # as they are now, whatever becomes of the tree
mapfile -t programs < <(unit_programs | sort -u)
if ! make -s -C "$work/plain" all "${programs[@]}" >"$work/build.log" 2>&1 </dev/null; then
    cat "$work/build.log"
    echo "the tree does not compile without a mutant" >&2
    echo "0 passed, 1 failed"
    exit 1
fi

count=$(nproc)
count=$((count < workers_max ? count : workers_max))
count=$((count < ${#patches[@]} ? count : ${#patches[@]}))
printf '%d mutants, %d at a time\n' ${#patches[@]} "$count"
printf '      %-44s %11s  %s\n' mutant seconds 'caught by'
set -m
for ((i = 1; i <= count; i++)); do
    cp -a "$work/plain" "$work/worker$i"
    worker "$work/worker$i" &
    pids+=($!)
done
set +m
wait
pids=()

passed=$(cat "$work"/results/* | grep -c '^caught$' || true)
failed=$((${#patches[@]} - passed))
LC_ALL=C sort -u "$work"/baseline/*.failed >"$work/always" 2>/dev/null || true
if [ -s "$work/always" ]; then
    sed 's/^/FAIL  without a mutant: /' "$work/always"
    failed=$((failed + $(wc -l <"$work/always")))
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
