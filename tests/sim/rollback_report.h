/* What sequences of sim_rollback.c came across, counted and told. */
#ifndef TESTS_ROLLBACK_REPORT_H
#define TESTS_ROLLBACK_REPORT_H

#include <stdint.h>

/* What was seen: each must have been, or the test proves less than it says. */
enum seen {
    SEEN_COMMANDS = 0, /* accepted, by kind */
    SEEN_REFUSED = 16, /* added to those */
    SEEN_STRATEGIES = 32,
    SEEN_FROM = 40, /* rollbacks accepted, by the status before */
    SEEN_END = 48,  /* ends, by status */
    SEEN_CANCEL_BACK = 56,
    SEEN_HELD_TIME,
    SEEN_KILL_SNAPSHOT,
    SEEN_KILL_REPLAY,
    SEEN_LATE,
    SEEN_CLOCK_BACK,
    SEEN_AGAIN,
    SEEN_TURN,
    SEEN_COUNT,
};

/* Print each count. How many things never happened. */
unsigned rollback_report(const uint64_t seen[SEEN_COUNT]);

#endif
