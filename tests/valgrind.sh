#!/bin/sh
# A program under memcheck: `make valgrind`.
#
#   tests/valgrind.sh PROGRAM…
#
# Exit status 99 where it, or a child that it forks, misuses memory, and where memory is lost when it ends. Of
# children only the misuse counts: in the tests they end with a store open, killed or by _exit().
set -u
log=$(mktemp) || exit
trap 'rm -f "$log"' EXIT
valgrind --quiet --log-file="$log" --child-silent-after-fork=yes --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=none "$@"
status=$?
if [ -s "$log" ]; then
    cat "$log"
    exit 99
fi
exit $status
