#!/bin/bash
# Real system calls fail one by one, under strace, while wfctl works, and a program whose store rotates its log and
# writes snapshots all the time: it ends with the right exit status, nothing
# that it acknowledged is lost, the store opens again, and no descriptor is synced again after a failed sync.
# Then real short writes (RLIMIT_FSIZE) and real full disks (tmpfs, ext4 in a loop file), where mounting
# is permitted: work goes on when space returns.
#
# Every n-th call of every kind in make test-long; otherwise SYSCALL_RUNS (350) of them, drawn with SYSCALL_SEED.
# SYSCALL_ONLY='rotate pwrite64 EIO 33' takes those whose description (scenario, call, error, n) holds that.
set -uo pipefail

wfctl=${WFCTL:-build/release/wfctl}
wfctl=$(realpath "$wfctl")
rotate=$(realpath "$(dirname "$wfctl")/tests/crash/rotate_stream")
runs_max=350
[ -n "${SAN:-}" ] && runs_max=60
[ -n "${WF_TEST_LONG:-}" ] && runs_max=1000000
runs_max=${SYSCALL_RUNS:-$runs_max}
seed=${SYSCALL_SEED:-$RANDOM}
scratch=$(mktemp -d)
# Failing calls are the same on every file system: where syncs cost nothing they need a third of the time.
faults=$(mktemp -d -p /dev/shm 2>/dev/null) || faults=$scratch
mounted=()
cleanup() {
    local at
    for at in "${mounted[@]}"; do
        umount "$at" 2>/dev/null
    done
    rm -rf "$scratch" "$faults"
}
trap cleanup EXIT
cd "$faults" || exit 1
# Nobody but strace can look at a process that it traces.
export ASAN_OPTIONS=detect_leaks=0

passed=0
failed=0
# fail WHAT: one more failure; the first ones are told.
fail() {
    failed=$((failed + 1))
    if [ "$failed" -le 15 ]; then
        echo "failed: $*"
    fi
}

# --- the work: loans, each command with an idempotency key, in four groups ---

write_stream() {
    local group loan id
    for group in 1 2 3 4; do
        for loan in 1 2 3; do
            id=L$group-$loan
            printf '{"cmd":"workflow.start","workflow":"loan_application","id":"%s","key":"%s-0","tag":"%s-0"}\n' $id $id $id
            while read -r index step data; do
                printf '{"cmd":"workflow.submit","id":"%s","step":"%s","data":%s,"key":"%s-%s","tag":"%s-%s"}\n' \
                    $id "$step" "$data" $id "$index" $id "$index"
            done <<'STEPS'
1 applicant_submission {"personal_info":"Ada Byron","ssn":"123-45-6789","employment":"engineer"}
2 credit_bureau_response {"credit_score":"750","history":"none"}
3 employer_verification {"salary":"84000.00","tenure":"7"}
4 property_appraisal {"value":"410000.00","condition":"good"}
5 approval_decision {"decision":"approved"}
STEPS
        done >"group-$group"
    done
    cat group-[1-4] >stream
    lines=$(wc -l <stream)
}

# The groups one after the other, so that each becomes a batch of its own.
feed() {
    local group
    for group in 1 2 3 4; do
        cat "group-$group" || return
        sleep 0.004
    done
}

# "TAG LSN [replayed]" for each success in a file of answers.
acknowledged() {
    sed -nE '/"ok": ?true/ { s/.*"lsn": ?([0-9]+).*"tag": ?"([^"]*)"(, ?"replayed": ?(true))?.*/\2 \1 \4/p }' "$1" | sort
}

# --- what must hold afterwards ---

# check_acknowledged STORE ANSWERS [rotate]: the stream again, with the same keys: all of it works, and what was
# acknowledged before is answered from the log, with the same LSN.
check_acknowledged() {
    local store=$1 status lost expected=$lines
    if [ "${3:-}" = rotate ]; then
        expected=600
        "$rotate" "$store" >again.out 2>again.err
    else
        "$wfctl" -d "$store" exec <stream >again.out 2>again.err
    fi
    status=$?
    if [ $status != 0 ]; then
        echo "the store does not take commands afterwards: exit $status: $(head -c 300 again.err)"
        return 1
    fi
    acknowledged again.out >again.acked
    if [ "$(wc -l <again.acked)" != "$expected" ]; then
        echo "afterwards only $(wc -l <again.acked) of $expected commands work: $(grep -m1 -v '"ok": *true' again.out)"
        return 1
    fi
    acknowledged "$2" | cut -d' ' -f1,2 | sed 's/$/ true/' >first.acked
    lost=$(comm -23 first.acked again.acked | head -3)
    if [ -n "$lost" ]; then
        echo "acknowledged and LOST, or done twice: $lost"
        return 1
    fi
    "$wfctl" -d "$store" replay --verify >verify.out 2>&1 ||
        { echo "replay --verify: exit $?: $(tail -c 300 verify.out)"; return 1; }
}

# check_syncs TRACE: no second sync of a descriptor whose sync failed. Calls of several threads are joined first.
check_syncs() {
    awk '
    /unfinished \.\.\.>/ { begun[$1] = $0; sub(/ *<unfinished.*/, "", begun[$1]); next }
    /<\.\.\. [a-z0-9_]+ resumed>/ { rest = $0; sub(/.*resumed>/, "", rest); $0 = begun[$1] rest }
    match($0, /(fdatasync|fsync)\([0-9]+/) {
        call = substr($0, RSTART, RLENGTH); fd = call; sub(/.*\(/, "", fd)
        if (bad[fd]) { print "synced again after a failed sync: " $0; found = 1 }
        if ($0 ~ / = -1 /) bad[fd] = 1
    }
    match($0, / close\([0-9]+/) { fd = substr($0, RSTART, RLENGTH); sub(/.*\(/, "", fd); bad[fd] = 0 }
    END { exit found }' "$1"
}

# --- injected faults ---

# A store in which loans wait, left as a kill leaves it: no snapshot, log in the tail.
make_fixture() {
    "$wfctl" -d fixture init >/dev/null || { echo "wfctl init failed"; exit 1; }
    sed 's/"L\([0-9]\)-/"F\1-/g' stream >fixture.stream
    mkfifo hold
    "$wfctl" -d fixture exec <hold >fixture.out &
    local pid=$!
    exec 9>hold
    cat fixture.stream >&9
    while [ "$(wc -l <fixture.out)" -lt "$lines" ]; do
        sleep 0.01
    done
    kill -KILL $pid
    wait $pid 2>/dev/null
    exec 9>&-
    rm -f hold
}

calls=openat,read,pread64,write,writev,pwrite64,fdatasync,fsync,rename,ftruncate,fallocate,mmap,unlink,mkdir
traced=$calls,close,unlinkat,pwritev,mremap
declare -A errors=(
    [openat]="EMFILE EIO" [read]=EIO [pread64]=EIO [write]="EIO ENOSPC" [writev]="EIO ENOSPC" [pwrite64]="EIO ENOSPC"
    [fdatasync]=EIO [fsync]=EIO [rename]=EIO [ftruncate]=EIO [fallocate]="ENOSPC EIO" [mmap]=ENOMEM
    [unlink]=EIO [mkdir]="ENOSPC EIO"
)

# "CALL FIRST LAST": which calls of each kind come once the program is loaded and looks for its store.
count_calls() {
    awk 'match($2, /^[a-z0-9_]+\(/) {
        call = substr($2, 1, RLENGTH - 1)
        loaded = loaded || /"store/
        count[call]++
        if (!loaded) before[call]++
    }
    END { for (call in count) print call, before[call] + 1, count[call] }' "$1" | sort
}

# plan SCENARIO TRACE: one line for each fault.
plan() {
    local call first count error n
    count_calls "$2" | while read -r call first count; do
        # A sanitizer's own memory must not be taken away.
        [ -n "${SAN:-}" ] && [ "$call" = mmap ] && continue
        for error in ${errors[$call]:-}; do
            for ((n = first; n <= count + 1; n++)); do
                echo "$1 $call $error $n"
            done
        done
    done
}

# check_status STATUS ERROR: 0 the call did not matter, 7 told as I/O error or full disk, 1 for want of memory.
# Never a signal, never another reason.
check_status() {
    case $1 in
    0 | 7) return 0 ;;
    1) [ "$2" = ENOMEM ] && return 0 ;;
    esac
    echo "exit status $1: $(head -c 300 run.err | tr '\n' ' ')"
    return 1
}

# inject SCENARIO CALL ERROR N
inject() {
    local scenario=$1 status
    rm -rf store
    : >run.out
    if [ "$scenario" = exec ]; then
        cp -a fixture store
        feed | strace -f -qq -o trace -e trace="$traced" -e inject="$2:error=$3:when=$4" \
            "$wfctl" -d store exec >run.out 2>run.err
        status=${PIPESTATUS[1]}
    elif [ "$scenario" = rotate ]; then
        strace -f -qq -o trace -e trace="$traced" -e inject="$2:error=$3:when=$4" \
            "$rotate" store >run.out 2>run.err
        status=$?
    else
        strace -f -qq -o trace -e trace="$traced" -e inject="$2:error=$3:when=$4" \
            "$wfctl" -d store init >init.out 2>run.err
        status=$?
    fi
    echo "$status" >>statuses
    check_status "$status" "$3" || return 1
    check_syncs trace || return 1
    if [ "$scenario" = init ]; then
        # Whatever is left of it: init again makes the store.
        "$wfctl" -d store init >init.out 2>&1 ||
            { echo "init does not work afterwards: exit $?: $(head -c 300 init.out)"; return 1; }
    fi
    check_acknowledged store run.out "$scenario"
}

inject_all() {
    local scenario call error n said count=0
    make_fixture
    cp -a fixture store
    feed | strace -f -qq -o trace.exec -e trace="$traced" "$wfctl" -d store exec >run.out 2>run.err || {
        echo "strace does not work here: $(head -c 200 run.err); no faults are injected"
        return
    }
    rm -rf store
    strace -f -qq -o trace.init -e trace="$traced" "$wfctl" -d store init >/dev/null 2>&1
    rm -rf store
    strace -f -qq -o trace.rotate -e trace="$traced" "$rotate" store >/dev/null 2>&1
    { plan exec trace.exec; plan init trace.init; plan rotate trace.rotate; } | grep -e "${SYSCALL_ONLY:-.}" >all.plan
    # A seeded draw: the same seed, the same faults.
    shuf --random-source=<(yes "$seed") -n "$runs_max" all.plan >drawn.plan
    while read -r scenario call error n <&8; do
        count=$((count + 1))
        if said=$(inject "$scenario" "$call" "$error" "$n"); then
            passed=$((passed + 1))
        else
            fail "$scenario, $call number $n fails with $error: $said"
        fi
    done 8<drawn.plan
    echo "$count of $(wc -l <all.plan) faults injected, seed $seed (SYSCALL_SEED); exit statuses:" \
        "$(sort -n statuses | uniq -c | awk '{ printf "%s%d of %s", sep, $1, $2; sep = ", " }')"
}

# --- short writes: the limit on a file's size ---

limit_size() {
    local kib status said count=0
    for kib in $(seq 1 "$1" 24) 200 260 264 300; do
        count=$((count + 1))
        rm -rf store
        cp -a fixture store
        feed | (ulimit -f "$kib" && exec "$wfctl" -d store exec) >run.out 2>run.err
        status=${PIPESTATUS[1]}
        if said=$(check_status "$status" EFBIG && check_acknowledged store run.out); then
            passed=$((passed + 1))
        else
            fail "files of at most $kib KiB: $said"
        fi
    done
    echo "$count limits on the size of a file"
}

# --- full disks ---

# until_answers N: wait until run.out has N lines; false after 10 s.
until_answers() {
    local tries=0
    while [ "$(wc -l <run.out)" -lt "$1" ]; do
        tries=$((tries + 1))
        if [ $tries -gt 1000 ]; then
            echo "no answer: $(wc -l <run.out) of $1 lines"
            return 1
        fi
        sleep 0.01
    done
}

# One process lives through a full disk: refused while it is full, and works again once there is space.
live_through_full() {
    local dir=$1 answers pid said
    "$wfctl" -d "$dir/store" init >/dev/null || { echo "init: exit $?"; return 1; }
    rm -f feed.fifo
    mkfifo feed.fifo
    : >run.out
    "$wfctl" -d "$dir/store" exec <feed.fifo >run.out 2>run.err &
    pid=$!
    exec 9>feed.fifo
    cat group-1 >&9
    said=$(until_answers 18) || { exec 9>&-; wait $pid; echo "$said"; return 1; }
    dd if=/dev/zero of="$dir/fill" bs=64k >/dev/null 2>&1
    dd if=/dev/zero of="$dir/fill2" bs=512 >/dev/null 2>&1
    # More than any space that was reserved before: reasons of 4,000 bytes.
    answers=18
    local padding id=0
    padding=$(printf '%04000d' 0)
    while [ $id -lt 200 ]; do
        printf '{"cmd":"workflow.start","workflow":"loan_application","id":"P%s","data":{"note":"%s"},"tag":"P%s"}\n' \
            $id "$padding" $id
        id=$((id + 1))
    done >&9
    answers=$((answers + 200))
    said=$(until_answers $answers) || { exec 9>&-; wait $pid; echo "$said"; return 1; }
    if ! grep -q '"code": *"full"' run.out; then
        exec 9>&-
        wait $pid
        echo "the disk was full, and nobody was told: $(grep -c '"ok": *true' run.out) acknowledged, $(grep -m1 -v '"ok": *true' run.out)"
        return 1
    fi
    rm -f "$dir/fill" "$dir/fill2"
    cat group-2 >&9
    said=$(until_answers $((answers + 18))) || { exec 9>&-; wait $pid; echo "$said"; return 1; }
    exec 9>&-
    wait $pid
    if tail -n 18 run.out | grep -q '"ok": *false'; then
        echo "space is back, and it does not work: $(tail -n 18 run.out | grep -m1 '"ok": *false')"
        return 1
    fi
    grep '"ok": *true' run.out | grep '"tag": *"P' | sed -E 's/.*"tag": *"([^"]*)".*/\1/' | sort >kept
    "$wfctl" -d "$dir/store" -o jsonl workflow list >list.out 2>list.err || { echo "list: exit $?: $(cat list.err)"; return 1; }
    grep -oE '"id": *"P[0-9]+"' list.out | sed -E 's/.*"(P[0-9]+)"/\1/' | sort >listed
    if ! cmp -s kept listed; then
        echo "acknowledged while the disk filled: $(wc -l <kept), there: $(wc -l <listed)"
        return 1
    fi
    grep -v '"tag": *"P' run.out >run.loans
    check_acknowledged "$dir/store" run.loans
}

full_disk() {
    local kind=$1 dir=$scratch/mnt-$1 said
    mkdir -p "$dir"
    if [ "$kind" = tmpfs ]; then
        mount -t tmpfs -o size=4m tmpfs "$dir" 2>mount.err
    else
        truncate -s 24M disk.img && mkfs.ext4 -q -m 0 disk.img >/dev/null 2>&1 &&
            mount -o loop disk.img "$dir" 2>mount.err
    fi || {
        echo "skipped: a full $kind disk cannot be mounted here ($(head -c 100 mount.err 2>/dev/null))"
        return
    }
    mounted+=("$dir")
    if said=$(live_through_full "$dir"); then
        passed=$((passed + 1))
        echo "lived through a full disk: $kind"
    else
        fail "full disk ($kind): $said"
    fi
}

write_stream
if ! command -v strace >/dev/null; then
    echo "skipped: strace is not installed; no faults are injected"
    make_fixture
else
    inject_all
fi
if [ "$faults" != "$scratch" ]; then
    cp -a stream group-? fixture "$scratch"
    cd "$scratch" || exit 1
fi
limit_size "$([ -n "${WF_TEST_LONG:-}" ] && echo 1 || echo 4)"
full_disk tmpfs
full_disk ext4
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
