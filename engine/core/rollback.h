/* Going back: rollbacks, time-outs and failures, reviews. What waits to be decided stands in the
 * workflow as proposals (state.h); one command carries it on as far as it can go, so that a crash
 * in the middle finds it where it was.
 *
 *   rollback_course.c   what is undone in which order, and the events of it
 *   rollback_decide.c   rollbacks and cancellations, time-outs and failures
 *   review_decide.c     what reviewers say
 *   rollback_apply.c    what the events do
 *
 * While a rollback or cancellation is under way the workflow stands still: nothing is submitted,
 * and its timers do not run. The same where a stage with the strategy hold_for_review waits. */
#ifndef CORE_ROLLBACK_H
#define CORE_ROLLBACK_H

#include "engine/core/decide.h"

/* --- the plan: rollback_course.c --- */

/* Which stages a rollback to `target` (STAGE_NONE: a cancellation, all of them) undoes, the first
 * one first. */
size_t rollback_plan(const struct workflow *workflow, unsigned target,
                     unsigned order[DEFINITION_STAGES_MAX]);

/* --- deciding --- */

void rollback_decide(const struct command *command, struct decision *decision);
void rollback_decide_cancel(const struct workflow *workflow, struct bytes_view reason,
                            struct decision *decision);
/* The stage timed out or failed, as the event before says: what its strategy makes of it. */
void rollback_decide_outcome(const struct workflow *workflow, unsigned stage,
                             enum stage_status outcome, struct bytes_view reason,
                             struct decision *decision);
/* Refuse what belongs to an attempt that is over. */
bool rollback_check_attempt(const struct workflow *workflow, unsigned stage, uint32_t attempt,
                            struct decision *decision);
void timer_decide_fire(const struct command *command, struct decision *decision);
void review_decide(const struct command *command, struct decision *decision);

/* --- applying: rollback_apply.c --- */

bool rollback_is_event(enum event_kind kind); /* one of those below */
enum wf_status rollback_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct wf_error *err);
void rollback_apply(struct state *state, const struct record *record, const struct event *event);
/* The status that the proposals give a workflow that has not ended. */
enum workflow_status rollback_standing(const struct workflow *workflow);

#endif
