/* The oracle: what was asked of a store that is going to be killed, and what it acknowledged.
 *
 * Every loan has a script, chosen by seed and number: it is started, submitted step by step, and
 * some are cancelled, or go back to their first stage, past a reviewer, and on from there. `issued`
 * commands of the script went to the engine; of these `acked` were acknowledged. After a kill the
 * store must show the loan at a place between the two. The oracle may lie in memory shared with the
 * process that is killed: SIGKILL takes nothing from it. */
#ifndef CRASH_ORACLE_H
#define CRASH_ORACLE_H

#include "engine/wf.h"
#include "workflows/loan/loan_sample.h"

#include <stdatomic.h>

enum {
    ORACLE_LOANS = 8192,
    ORACLE_THREADS = 8,
    ORACLE_SCRIPT_MAX = LOAN_COMMANDS + 3,
};

/* `issued` is raised before the engine is called, `acked` after it said WF_OK. */
struct oracle_loan {
    _Atomic uint32_t issued, acked;
    _Atomic uint64_t lsns[ORACLE_SCRIPT_MAX];    /* of acknowledged commands; 0: not told */
    _Atomic uint64_t tickets[ORACLE_SCRIPT_MAX]; /* the order in which its thread issued them */
};

struct oracle {
    uint64_t seed;
    _Atomic uint32_t definition_acked;
    struct oracle_loan loans[ORACLE_LOANS];
    /* Of the last oracle_settle(): commands that were neither acknowledged nor lost, or lost. */
    uint64_t unacked_kept, unacked_lost;
    /* Likewise: loans that were there on their way back, and from it. */
    uint64_t going_back, gone_back;
    char failure[1024]; /* "" while nothing is wrong */
};

/* A command of a script, with the bytes that are its own. */
struct oracle_command {
    struct loan_sample sample;
    struct wf_command command;
    char key[32];
};

void oracle_init(struct oracle *oracle, uint64_t seed);
unsigned oracle_script_length(const struct oracle *oracle, uint32_t loan);
/* Command `index` of the loan's script. Half of the loans carry idempotency keys. */
const struct wf_command *oracle_command(const struct oracle *oracle, uint32_t loan, unsigned index,
                                        struct oracle_command *out);

/* Note that the next command of the loan goes to the engine, as number `sequence` of `thread`;
 * returns its index. */
unsigned oracle_issue(struct oracle *oracle, uint32_t loan, unsigned thread, uint64_t sequence);
void oracle_ack(struct oracle *oracle, uint32_t loan, unsigned index, uint64_t lsn);

struct oracle_flight {
    uint64_t commands;  /* issued and not acknowledged */
    uint64_t workflows; /* begun, and not at the end of their script */
};
struct oracle_flight oracle_in_flight(const struct oracle *oracle);

/* Compare every loan with the store: nothing acknowledged is missing, nothing is there twice, what
 * was not acknowledged is there wholly or not at all, and nothing is missing before something that
 * is there. What is there counts as acknowledged from now on, what is not as never issued. False:
 * see oracle->failure. */
bool oracle_settle(struct oracle *oracle, struct wf_engine *engine);
/* The loan's history: each command once, at the LSN that was acknowledged. Call after
 * oracle_settle(). */
bool oracle_check_history(struct oracle *oracle, struct wf_engine *engine, uint32_t loan);
/* Execute the loan's last acknowledged command again, where it has a key: the first answer comes
 * again. */
bool oracle_check_key(struct oracle *oracle, struct wf_engine *engine, uint32_t loan);
/* The whole store: rebuilt from the first record it has the hash that it says. */
bool oracle_check_replay(struct oracle *oracle, struct wf_engine *engine);
/* Make sure the definition is there. */
bool oracle_define(struct oracle *oracle, struct wf_engine *engine);

/* Record the first failure; returns false. */
bool oracle_fail(struct oracle *oracle, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
