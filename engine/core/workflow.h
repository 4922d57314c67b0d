/* The workflow machine: one workflow's memory, what commands come to, what events do. decide.c,
 * apply.c and entity.c dispatch to it; hosts use state.h. */
#ifndef CORE_WORKFLOW_H
#define CORE_WORKFLOW_H

#include "engine/core/decide.h"

/* --- memory: workflow.c --- */

/* A workflow of this definition, without data, all stages blocked; NULL where memory fails. Itself
 * and its data are blocks of the slab. */
struct workflow *workflow_create(struct slab *slab, const struct definition_entity *definition,
                                 struct bytes_view id);
void workflow_destroy(struct workflow *workflow);
uint32_t workflow_bytes(const struct workflow *workflow); /* heap bytes, for entity.bytes */
/* Bytes that the fields of one submission take in `data`. */
size_t workflow_fields_size(const struct definition *definition, unsigned step,
                            const struct field *fields, size_t count);
/* May a submission bring these, beside `taken` bytes that the workflow has? */
bool workflow_fields_fit(size_t taken, const struct definition *definition, unsigned step,
                         const struct field *fields, size_t count);
/* Room for exactly `size` more bytes of data. False: no memory. */
bool workflow_reserve_data(struct workflow *workflow, size_t size);
/* Into the room that was reserved. */
void workflow_append_fields(struct workflow *workflow, unsigned step, const struct field *fields,
                            size_t count);
/* Take the step out of those in force, and its fields out of the data. Likewise the fields that the
 * handler of a stage gave (WORKFLOW_FIELD_OF_STAGE | stage). */
void workflow_withdraw_step(struct workflow *workflow, unsigned step);
bool workflow_step_in_force(const struct workflow *workflow, unsigned step);
bool workflow_has_ended(const struct workflow *workflow); /* completed, failed or cancelled */

/* --- deciding: workflow_decide.c. Subject, actor and key are well-formed already. --- */

void workflow_decide_start(const struct state *state, const struct command *command,
                           struct decision *decision);
void workflow_decide_submit(const struct command *command, struct decision *decision);
void workflow_decide_fail(const struct command *command, struct decision *decision);
void workflow_decide_cancel(const struct command *command, struct decision *decision);

/* What rollback.c and its like share with it: is the stage's every need met by these? */
bool workflow_needs_met(const struct definition_stage *stage, uint64_t completed, uint64_t items);
/* The stage becomes active, in this attempt. */
void workflow_decide_activation(const struct definition *definition, unsigned stage,
                                uint32_t attempt, struct decision *decision);
/* All stages become active that wait and whose needs are met by these; `stages` NULL: none was
 * active yet. */
void workflow_activate_ready(const struct definition *definition, const struct stage_state *stages,
                             uint64_t completed, uint64_t items, struct decision *decision);
/* The command's workflow; NULL: there is none, and `decision` says so. Then its stage, or -1. */
const struct workflow *workflow_find(const struct command *command, struct decision *decision);
int workflow_find_stage(const struct definition *definition, struct bytes_view name,
                        struct decision *decision);
bool workflow_check_reason(struct bytes_view reason, struct decision *decision);
bool workflow_check_fields(const struct field *fields, size_t count, struct decision *decision);
/* Is it the name of the step's required field of this index? */
bool workflow_is_required(const struct definition_step *step, size_t index, struct bytes_view name);
/* Are all fields there that the step requires? */
bool workflow_check_required(const struct definition_step *step, const struct field *fields,
                             size_t count, struct decision *decision);
/* Refuse whatever comes after the end. */
bool workflow_check_goes_on(const struct workflow *workflow, struct decision *decision);

/* --- applying: workflow_apply.c. reserved.workflow is the subject. --- */

/* Reserve what one event of a record needs, in the order of the record. `room` sums up what the
 * record adds. WF_DAMAGE, WF_NO_MEMORY. */
struct workflow_room {
    uint64_t steps;    /* that are in force after the events so far, as a mask */
    size_t data_bytes; /* that the events so far add */
};
enum wf_status workflow_reserve(struct state *state, const struct record *record,
                                const struct event *event, struct workflow_room *room,
                                struct wf_error *err);
/* Has the workflow's definition this stage, which a record names? WF_DAMAGE. */
enum wf_status workflow_check_stage(const struct workflow *workflow, const struct record *record,
                                    uint32_t stage, struct wf_error *err);
/* Another status, counted. */
void workflow_set_status(struct state *state, struct workflow *workflow,
                         enum workflow_status status);
/* It ends: no deadline, no proposal is left, and what stood still or waited is as it was before. */
void workflow_end(struct state *state, struct workflow *workflow, enum workflow_status status);
void workflow_apply(struct state *state, const struct record *record, const struct event *event);

#endif
