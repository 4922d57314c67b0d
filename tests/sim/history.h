/* What concurrent transactions did and saw, and whether their isolation levels allow it: a checker
 * in the manner of Adya (Weak Consistency, 1999). It knows nothing of the engine but what its
 * answers said: versions by the LSN of the record that made them, and the order of the log.
 *
 * Between committed transactions there are edges:
 *   ww   the other made the next version of an account that this one wrote
 *   wr   the other read what this one wrote
 *   rw   the other made the next version of what this one read, or what a scan of this one would
 * have found rt   the other began after this one had ended
 *
 * READ_COMMITTED   nobody read what was not committed (G1a), or was not the whole of it (G1b); a
 * scan is of one instant; no cycle of ww and wr (G0, G1c), nor with rt SNAPSHOT         also: all
 * reads and scans are as of one instant, between the begin and the ends before it; what it depends
 * on was committed by then (G-SIa: first committer wins); no cycle with exactly one rw (G-SIb)
 * SERIALIZABLE     also: no cycle with its rw edges, rt included (strict serializability)
 *
 * Levels may be mixed: then each transaction's own promises are held against it (Adya's mixed
 * serialization graph). */
#ifndef TESTS_SIM_HISTORY_H
#define TESTS_SIM_HISTORY_H

#include "engine/wf.h"

enum {
    HISTORY_ACCOUNTS = 4,
    HISTORY_TRANSACTIONS_MAX = 64,
    HISTORY_STEPS_MAX = 16,
    HISTORY_TEXT_MAX = 400,
};

enum history_step_kind { HISTORY_READ, HISTORY_SCAN, HISTORY_WRITE };

/* An account as it was shown: the LSN of its last commit, and its balance with own writes. */
struct history_seen {
    bool found;
    uint64_t lsn;
    int64_t balance;
};

struct history_step {
    enum history_step_kind kind;
    int account;                                /* read */
    int64_t least;                              /* scan: accounts of at least so much */
    struct history_seen seen[HISTORY_ACCOUNTS]; /* read: of that account; scan: of each */
    int64_t amounts[HISTORY_ACCOUNTS];          /* write: what each account got */
};

struct history_transaction {
    enum wf_isolation isolation;
    uint64_t begin, end;   /* ticks: before its begin was called, after its end was answered */
    uint64_t snapshot_lsn; /* as the session said; 0: none */
    bool committed;
    uint64_t lsn; /* of its record; 0: it wrote nothing */
    bool wrote[HISTORY_ACCOUNTS];
    struct history_step steps[HISTORY_STEPS_MAX];
    size_t step_count;
};

struct history {
    uint64_t first_lsn[HISTORY_ACCOUNTS]; /* of the record that opened it */
    int64_t first_balance[HISTORY_ACCOUNTS];
    struct history_transaction transactions[HISTORY_TRANSACTIONS_MAX];
    size_t count;
};

/* Is everything as the levels promise? Else `text` says what is not. */
bool history_check(const struct history *history, char text[HISTORY_TEXT_MAX]);
/* Whatever the levels: is there a serial order that agrees with real time? */
bool history_is_serializable(const struct history *history, char text[HISTORY_TEXT_MAX]);
/* Balances at the end, by what was committed. */
void history_end(const struct history *history, int64_t balances[HISTORY_ACCOUNTS]);
/* All of it, a line for each transaction. */
void history_print(const struct history *history);

#endif
