/* Workflows of tasks, for a load that is going to be killed, and what became of them: workers claim
 * what is due and answer, half of the errands go back once, which makes a task of its compensation.
 * What has happened to an errand is a set of deeds, each of one record: what was acknowledged is
 * there, under its LSN, and nothing is there twice. May lie in memory shared with the process that
 * is killed; each errand has one thread that starts it, sends it back and pays for it, and any
 * thread may have its tasks. */
#ifndef CRASH_ERRANDS_H
#define CRASH_ERRANDS_H

#include "engine/wf.h"
#include "tests/crash/scratch.h"

#include <stdatomic.h>

enum { ERRANDS = 1024, ERRANDS_HELD_MAX = 256 };

enum errand_deed {
    ERRAND_START,
    ERRAND_CLAIM_FETCH,
    ERRAND_FETCHED,
    ERRAND_CLAIM_CARRY,
    ERRAND_CARRIED,
    ERRAND_BACK, /* to the carrying, once that is done */
    ERRAND_CLAIM_UNDO,
    ERRAND_UNDONE, /* by its compensation */
    ERRAND_CLAIM_AGAIN,
    ERRAND_CARRIED_AGAIN,
    ERRAND_PAY,
    ERRAND_DEEDS,
};

/* `issued` is raised before the engine is called, but for claims, of which nobody knows what they
 * will get; `lsn` is set after it said WF_OK. */
struct errand {
    _Atomic bool issued[ERRAND_DEEDS];
    _Atomic uint64_t lsn[ERRAND_DEEDS]; /* 0: not acknowledged */
};

struct errands {
    _Atomic bool defined;
    _Atomic unsigned claiming; /* threads that have asked for a task */
    struct errand all[ERRANDS];
    uint64_t claimed, unacked_kept, unacked_lost; /* of the last errands_settle() */
    char failure[512];                            /* "" while nothing is wrong */
};

void errands_init(struct errands *errands);
/* Make sure that the definition is there. False, here and below: see `failure`. */
bool errands_define(struct errands *errands, struct wf_engine *engine);
/* Compare all with the store. What is there counts as acknowledged from now on, what is not as
 * never issued. */
bool errands_settle(struct errands *errands, struct wf_engine *engine);
/* Commands and claims that were not answered. */
uint64_t errands_in_flight(const struct errands *errands);
/* Ask again for what is done, of one of them: keys answer as the first time, and a task that was
 * answered is not answered twice. */
bool errands_check_again(struct errands *errands, struct wf_engine *engine, unsigned number);
/* Answer what workers that were killed had claimed. */
bool errands_resume(struct errands *errands, struct wf_engine *engine);

/* A thread of the load. */
struct errand_worker {
    struct errands *errands;
    struct wf_engine *engine;
    struct choices *choices;
    char name[32];
    unsigned first, end;        /* the errands that are its own */
    struct wf_workflow *holds;  /* what it has claimed and not answered; NULL: nothing */
    const struct wf_task *task; /* of that */
};
void errand_worker_init(struct errand_worker *worker, unsigned number, unsigned count);
void errand_worker_deinit(struct errand_worker *worker);
/* One command or claim. */
bool errand_worker_turn(struct errand_worker *worker);

#endif
