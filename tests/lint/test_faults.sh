#!/bin/bash
# Every row of the table of faults in tests/README.md names tests that exist, or says what it comes with.
set -uo pipefail
passed=0
failed=0
fail() {
    failed=$((failed + 1))
    echo "tests/README.md: $*"
}

# there NAME: a test's function, a scenario of sim/, or a file below tests/.
there() {
    case $1 in
    test_*) grep -rqE "\b$1\(" tests --include='*.c' ;;
    sim_*:*)
        program=${1%%:*}
        grep -sqE "\{\"${1#*:}\", [0-9]+\}" "tests/sim/$program.c" "tests/sim/${program#sim_}_scenarios.c"
        ;;
    */*) [ -f "tests/$1" ] ;;
    *) false ;;
    esac
}

rows=0
while IFS='|' read -r _ number fault _ shown _; do
    number=${number// /}
    rows=$((rows + 1))
    [ "$number" = "$rows" ] || fail "row $rows has the number $number"
    # shellcheck disable=SC2016 # backquotes of the table
    mapfile -t names < <(grep -oE '`[^`]+`' <<<"$shown" | tr -d '`')
    if [ ${#names[@]} = 0 ] && ! [[ $shown == *"comes with "* ]]; then
        fail "$number,$fault: nothing shows it"
    fi
    for name in "${names[@]}"; do
        if there "$name"; then
            passed=$((passed + 1))
        else
            fail "$number,$fault: there is no $name"
        fi
    done
done < <(grep -E '^\| [0-9]+ \|' tests/README.md)
[ "$rows" -ge 27 ] || fail "$rows rows, of 27 faults"

# The check itself must notice what is not there.
for name in test_that_nobody_wrote sim_wal:lunch crash/nothing.c nonsense; do
    if there "$name"; then fail "$name is taken for a test"; else passed=$((passed + 1)); fi
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
