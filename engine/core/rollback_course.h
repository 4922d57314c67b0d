/* A workflow as it will be once the events decided so far are applied: what the decisions of going
 * back are made on. For the files of rollback.h only. */
#ifndef CORE_ROLLBACK_COURSE_H
#define CORE_ROLLBACK_COURSE_H

#include "engine/core/ledger.h"
#include "engine/core/rollback.h"

struct course {
    const struct workflow *workflow;
    struct decision *decision;
    enum stage_status status[DEFINITION_STAGES_MAX];
    uint32_t attempt[DEFINITION_STAGES_MAX];
    uint64_t steps;  /* in force, as a mask */
    uint64_t reopen; /* stages that wait to be re-opened */
    /* The rollback or cancellation under way. */
    bool under_way;
    enum proposal_kind kind;
    unsigned target;
    enum workflow_status before;
    bool undone;
    struct bytes_view reason;
    struct ledger_work ledger; /* what undone stages moved goes back */
};

void course_begin(struct course *course, const struct workflow *workflow,
                  struct decision *decision);
/* The workflow turns back: to `target`, or (STAGE_NONE) to where nothing is. Replaces what was
 * under way. */
void course_turn(struct course *course, unsigned target, struct bytes_view reason);
/* Undo one stage, and post what its completion moved on accounts back. False: that cannot be, the
 * command is refused, and `decision` says so. */
bool course_undo(struct course *course, unsigned stage);
/* Go on undoing until a stage must be reviewed, or nothing is left to undo; or the command is
 * refused, likewise. */
void course_carry_on(struct course *course);
/* A stage waits for its reviewer. */
void course_wait(struct course *course, unsigned stage, struct bytes_view reason);
void course_activate(struct course *course, unsigned stage);
/* Last of all: timers stop or run again, and stages whose needs are met become active. */
void course_settle(struct course *course);

#endif
