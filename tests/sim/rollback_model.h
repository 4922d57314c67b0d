/* One workflow and its bank, modelled a second time from the rules for people: a list of what
 * happened, and plain arrays. Attempts, order, deadlines and data are counted anew from the list
 * whenever somebody asks; money is rollback_funds.h's matter. Shares no code with the engine, only
 * the names of its values. */
#ifndef TESTS_ROLLBACK_MODEL_H
#define TESTS_ROLLBACK_MODEL_H

#include "engine/core/state.h"
#include "tests/sim/rollback_funds.h"
#include "tests/sim/rollback_plan.h"

enum { MODEL_DEEDS_MAX = 2048, MODEL_NOBODY = 0, MODEL_ALL = -1 };

enum deed_kind {
    DEED_SUBMITTED, /* of: the step, -1 at the start */
    DEED_OPENED,    /* of: the stage */
    DEED_DONE,
    DEED_STOPPED, /* all timers */
    DEED_WENT_ON,
    DEED_ENDED,
};

struct deed {
    enum deed_kind kind;
    int of;
    unsigned command; /* those of one command happened together */
    int64_t time_ms;
    bool withdrawn;              /* a submission */
    unsigned value[PLAN_FIELDS]; /* that it gave; 0: did not give the field */
};

struct model {
    const struct plan *plan;
    unsigned command; /* number of the one under way */
    int64_t now_ms;   /* of the command under way: never before the last record */
    int64_t seen_ms;  /* of the last record */
    bool again;       /* the command under way repeats a verdict: it makes no record */
    /* Never held or awaiting_review: model_stage() says where that lies on top. */
    enum stage_status stage[PLAN_STAGES_MAX];
    bool reopening[PLAN_STAGES_MAX];         /* waits for a reviewer after a time-out or failure */
    unsigned reopening_for[PLAN_STAGES_MAX]; /* who said that it failed */
    bool stopped;                            /* the timers */
    enum workflow_status end;                /* 0: it goes on */
    bool has_reason;
    struct {
        bool under_way;
        int target;  /* MODEL_ALL: a cancellation */
        int waiting; /* for the review of this stage; -1: for none */
        unsigned actor;
        enum workflow_status from; /* an end; 0: it had none */
        bool undone;               /* something */
        bool has_reason;
    } back;
    struct {
        bool given, approved;
        unsigned stage, actor;
    } verdict;
    struct funds funds;
    bool cannot_give_back; /* of the command under way: what a stage moved */
    size_t deed_count;
    struct deed deeds[MODEL_DEEDS_MAX];
};

/* What somebody asks. Actors are numbers, MODEL_NOBODY is none. */
struct ask {
    enum command_kind kind;
    unsigned index;   /* of the stage, step or account; one past the last: an unknown one */
    unsigned attempt; /* 0: any */
    unsigned actor;
    const char *role;
    bool rollback, reason;
    unsigned value[PLAN_FIELDS];
    struct funds_ask operations[FUNDS_OPERATIONS_MAX]; /* of a submission, a transaction */
    size_t operation_count;
};

void model_start(struct model *model, const struct plan *plan, int64_t now_ms,
                 const unsigned value[PLAN_FIELDS]);
/* What comes of it; the model has changed where that is WF_OK. */
enum wf_status model_take(struct model *model, const struct ask *ask, int64_t now_ms);

enum workflow_status model_status(const struct model *model);
enum stage_status model_stage(const struct model *model, unsigned stage);
unsigned model_attempt(const struct model *model, unsigned stage);
/* As the engine keeps it: while the timers stand still, what remains. 0: none. */
int64_t model_deadline(const struct model *model, unsigned stage);
/* The value in force; 0: none. */
unsigned model_field(const struct model *model, unsigned field);
/* Steps in force in order of submission. */
size_t model_steps(const struct model *model, unsigned out[PLAN_STEPS_MAX]);
/* The stage whose deadline comes first; -1: none has any. */
int model_due(const struct model *model, int64_t *due_ms);
/* What a rollback to `target` would undo if all agreed, first one first. Leaves the model as it
 * was.
 */
size_t model_plan(struct model *model, unsigned target, unsigned out[PLAN_STAGES_MAX]);

#endif
