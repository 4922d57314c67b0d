#!/bin/bash
# The demo: a bank takes loan applications, the process is killed with SIGKILL in the middle of its work, and
# everything that was acknowledged is there afterwards, once. Every claim on the screen is checked: the
# script ends with a failure where one does not hold.
#
#   make demo        or        WFCTL=path/to/wfctl tools/demo.sh [DIR]
#
# With DIR (which must not exist) the store is kept there, to be looked at.
set -euo pipefail

wfctl=${WFCTL:-build/wfctl}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export WF_DIR=${1:-$work/bank}
answers=$work/answers.jsonl
kill_after=4000 # acknowledged commands, at least

bold='' dim='' green='' red='' off=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' off=$'\e[0m'
fi

caption() { printf '\n%s%s%s\n' "$bold" "$*" "$off"; }
good() { printf '  %s✓%s %s\n' "$green" "$off" "$*"; }
fail() {
    printf '  %s✗ %s%s\n' "$red" "$*" "$off" >&2
    exit 1
}

# Show a command as one would type it, run it, and show what it says.
run() {
    printf '  %s$ wfctl%s%s\n' "$dim" "$(printf ' %q' "$@")" "$off"
    "$wfctl" "$@" >"$work/out" 2>"$work/err" || {
        sed 's/^/    /' "$work/out" "$work/err"
        fail "wfctl $1 ${2:-} failed"
    }
    sed 's/^/    /' "$work/out"
}

# member NAME FILE: the value of the first such member in a line of JSON.
member() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | head -n 1; }
status_member() {
    "$wfctl" -o json status >"$work/status.json" || fail "status failed"
    member "$1" "$work/status.json"
}

expect_status() {
    "$wfctl" -o json workflow show L-1 >"$work/shown" || fail "L-1 cannot be shown"
    sed 's/"stages".*//' "$work/shown" | grep -q "\"status\": *\"$1\"" || fail "L-1 is not $1"
}
expect_balance() {
    "$wfctl" -o json account show "$1" >"$work/shown" || fail "$1 cannot be shown"
    [ "$(member balance "$work/shown")" = "$2" ] || fail "$1 does not hold $2"
}

# What the bank is doing when it dies: an endless stream of applications, and in it, L-1's next steps.
# Each command has a key, so that it may be sent again without harm.
stream() {
    awk 'BEGIN {
        for (n = 1; ; n++) {
            if (n == 500)
                print "{\"cmd\":\"workflow.submit\",\"id\":\"L-1\",\"step\":\"credit_bureau_response\",\"data\":{\"credit_score\":\"750\",\"history\":\"clean\"},\"key\":\"L-1-credit\",\"tag\":\"L-1-credit\"}"
            printf "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"B-%d\",\"key\":\"s%d\",\"tag\":\"s%d\"}\n", n, n, n
            printf "{\"cmd\":\"workflow.submit\",\"id\":\"B-%d\",\"step\":\"applicant_submission\",\"data\":{\"personal_info\":\"applicant %d\",\"ssn\":\"000-00-%04d\",\"employment\":\"baker\"},\"key\":\"a%d\",\"tag\":\"a%d\"}\n", n, n, n % 10000, n, n
            if (n > 100)
                printf "{\"cmd\":\"workflow.submit\",\"id\":\"B-%d\",\"step\":\"credit_bureau_response\",\"data\":{\"credit_score\":\"%d\",\"history\":\"clean\"},\"key\":\"c%d\",\"tag\":\"c%d\"}\n", n - 100, 600 + n % 200, n - 100, n - 100
        }
    }' 2>/dev/null || true
}

# tag and LSN of every answer on stdin that says ok.
acknowledged() {
    sed -n '/"ok": *true/{s/.*"lsn": *\([0-9]*\).*"tag": *"\([^"]*\)".*/\2 \1/p;t
s/.*"tag": *"\([^"]*\)".*"lsn": *\([0-9]*\).*/\1 \2/p;}'
}

[ -x "$wfctl" ] || fail "$wfctl is not there; run make first"

caption "1. A store, and a loan application"
run init
run workflow start loan_application --id L-1
run workflow submit L-1 applicant_submission personal_info="Ada Example" ssn=123-45-6789 employment=engineer
grep -q credit_check_initiated "$work/out" || fail "the credit check did not start"
good "the credit check has started; L-1 now waits for the credit bureau"

caption "2. Thousands of commands a second, and kill -9 in the middle"
printf '  %s$ … | wfctl exec      # one JSON command a line; answered when it is durable, not before%s\n' "$dim" "$off"
: >"$answers" # it is looked at before the process behind & has come to make it
"$wfctl" exec < <(stream) >"$answers" 2>"$work/err" &
owner=$!
for ((i = 0; i < 2000; i++)); do
    [ "$(wc -l <"$answers")" -lt "$kill_after" ] || break
    kill -0 "$owner" 2>/dev/null || fail "wfctl exec ended by itself: $(cat "$work/err")"
    sleep 0.01
done
sleep "0.$((RANDOM % 3))$((RANDOM % 10))"
kill -9 "$owner" || fail "wfctl exec was gone before it could be killed"
outcome=0
wait "$owner" 2>/dev/null || outcome=$?
[ "$outcome" = 137 ] || fail "wfctl exec was not killed, it ended with $outcome"

# A line cut in two by the kill was not an answer.
[ -z "$(tail -c 1 "$answers")" ] || sed -i '$d' "$answers"
acknowledged <"$answers" >"$work/acknowledged"
count=$(wc -l <"$work/acknowledged")
if grep -q '"ok": *false' "$answers"; then fail "a command was refused: $(grep -m 1 '"ok": *false' "$answers")"; fi
[ "$count" -ge "$kill_after" ] || fail "only $count commands were answered before the kill"
last_lsn=$(awk '{ if ($2 > n) n = $2 } END { print n }' "$work/acknowledged")
good "killed with SIGKILL after $count acknowledged commands, the last one at LSN $last_lsn"

caption "3. Open it again"
replayed=$(status_member replayed)
durable=$(member durable_lsn "$work/status.json")
running=$(member running "$work/status.json")
run status
[ "${replayed:-0}" -gt 0 ] || fail "nothing was replayed"
[ "${durable:-0}" -ge "$last_lsn" ] || fail "the log ends at $durable, before the acknowledged $last_lsn"
[ "${running:-0}" -gt 1 ] || fail "no loan was in flight"
good "recovered $replayed records behind the snapshot; $running loan applications were in flight"

# The same stream again, with the same keys: what was acknowledged answers as the first time.
stream | head -n "$count" >"$work/again.jsonl" || true
"$wfctl" exec <"$work/again.jsonl" >"$work/again.answers" || fail "sending the commands again failed"
[ "$(grep -c '"replayed": *true' "$work/again.answers")" = "$count" ] || fail "an acknowledged command was not known any more"
acknowledged <"$work/again.answers" | cmp -s - "$work/acknowledged" || fail "an acknowledged command has another LSN now"
good "sent all $count commands again under the same keys: each answers with its first LSN; none lost, none done twice"

caption "4. L-1 goes on where it was"
run workflow submit L-1 employer_verification salary=90000 tenure=6
grep -q collateral_assessment_started "$work/out" || fail "the collateral assessment did not start"
run workflow submit L-1 property_appraisal value=350000 condition=good
grep -q final_approval_ready "$work/out" || fail "the loan is not ready for its final approval"
good "final_approval is ready"

caption "5. Approved and paid out, in one record"
run account open LOAN-1 --type loan --currency USD
run account open ADA --type checking --currency USD --balance 1200.00
cat >"$work/payout.json" <<'OPS'
{"ops":[{"type":"loan_disbursement","from":"LOAN-1","to":"ADA","amount":"250000.00","currency":"USD"}]}
OPS
run workflow submit L-1 approval_decision decision=approved --ops "$work/payout.json"
expect_status completed
expect_balance ADA 251200.00
good "L-1 is completed and paid out: both or neither, whenever the process dies"

caption "6. Back to a stage, under review; the money goes back with it"
run workflow rollback L-1 --to final_approval --reason 'forged appraisal' --actor Eve
expect_status awaiting_review
run review approve L-1 final_approval --actor Bob --role executive
expect_status running
expect_balance ADA 1200.00
good "undone, and reversed by new postings in the record that undid it"
run account check

caption "7. The log proves it"
run replay --verify
good "the state rebuilt from the first record is the state that is kept"
run workflow history L-1
for step in applicant_submission credit_bureau_response employer_verification property_appraisal approval_decision; do
    [ "$("$wfctl" -o jsonl workflow history L-1 | grep -c "\"step\": *\"$step\"")" -ge 1 ] || fail "the history lacks $step"
done
good "all five steps are in the history, the one before the kill among them"

caption "Done."
