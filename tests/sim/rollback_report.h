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
    SEEN_MONEY, /* transactions, freezes, and their ends, by kind: accepted, then refused */
    SEEN_STAGE_MONEY =
        SEEN_MONEY + 6, /* submissions with operations: accepted, refused for these */
    SEEN_STAGE_MONEY_REFUSED,
    SEEN_MONEY_BACK, /* commands that undid a stage with money, by their kind */
    SEEN_MONEY_CANNOT = SEEN_MONEY_BACK + 16, /* refused because it could not go back, likewise */
    SEEN_MONEY_SEVERAL = SEEN_MONEY_CANNOT + 16, /* of several stages in one command */
    SEEN_MONEY_AGAIN,                            /* of an attempt after the first */
    SEEN_HOLD_FREED,
    SEEN_COUNT,
};

/* Print each count. How many things never happened. */
unsigned rollback_report(const uint64_t seen[SEEN_COUNT]);

#endif
