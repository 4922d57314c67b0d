/* Tasks: what a stage's handler has to do, and what its compensation has to undo. One becomes due
 * with the stage's activation, or with its undoing. A worker claims it for a while (its lease),
 * which is recorded before anything is done outside; the answer is recorded once, and one that
 * comes from a worker whose lease went to another has no effect.
 *
 *   task.c         memory and bytes
 *   task_decide.c  claims, answers, retries
 *   task_apply.c   what the events do */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include "engine/core/decide.h"

enum {
    TASK_LEASE_MARGIN_MS = 5000, /* beyond the handler's timeout, where a claim names no lease */
    TASK_BACKOFF_DOUBLINGS = 10, /* the wait doubles from attempt to attempt, so often at most */
};

/* --- memory: task.c --- */

/* On the heap, in no list; the texts are copied. NULL where memory fails. */
struct task *task_create(struct bytes_view worker, struct bytes_view reason);
struct task *task_find(const struct workflow *workflow, unsigned stage, bool compensate,
                       uint32_t epoch);
/* Into the workflow's list, in place of the one for the same; it takes the task over. */
void task_put(struct workflow *workflow, struct task *task);
void task_remove(struct workflow *workflow, unsigned stage, bool compensate, uint32_t epoch);
/* The handlers' tasks of one stage (compensations stay), of all stages with DEFINITION_STAGES_MAX.
 */
void task_remove_runs(struct workflow *workflow, unsigned stage);
void task_remove_all(struct workflow *workflow);
size_t task_bytes(const struct workflow *workflow); /* heap bytes of all */
void task_encode(const struct workflow *workflow, struct bytes_buffer *value);
/* False: malformed, or (then the reader has not failed) no memory. */
bool task_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory);
struct bytes_view task_worker(const struct task *task);
struct bytes_view task_reason(const struct task *task);
const struct definition_handler *task_handler(const struct definition *definition,
                                              const struct task *task);
/* Can it be claimed at all, when its time has come? */
bool task_is_claimable(const struct workflow *workflow, const struct task *task);

/* --- deciding --- */

/* A task becomes due with what was just decided. */
void task_decide_due(unsigned stage, uint32_t epoch, bool compensate, struct decision *decision);
/* Must undoing the stage in this attempt be compensated? */
bool task_wants_compensation(const struct workflow *workflow, unsigned stage, uint32_t epoch);
void task_decide(const struct command *command, struct decision *decision);

/* --- applying --- */

bool task_is_event(enum event_kind kind);
enum wf_status task_reserve(struct state *state, const struct record *record,
                            const struct event *event, struct wf_error *err);
void task_apply(struct state *state, const struct record *record, const struct event *event);

#endif
