/* The core's workflow made into the host's. */
#include "engine/workflow_out.h"

#include "engine/core/money.h"
#include "engine/core/stage_money.h"
#include "engine/core/task.h"
#include "engine/packer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct wf_stage_info *pack_stages(struct packer *packer,
                                               const struct workflow *workflow) {
    const struct definition *definition = workflow->definition;
    struct wf_stage_info *stages = packer_take(packer, definition->stage_count * sizeof(*stages));
    for (size_t i = 0; i < definition->stage_count; i++) {
        const struct stage_state *stage = &workflow->stages[i];
        struct wf_stage_info info = {
            .name = packer_string(packer, definition->stages[i].name),
            .status = stage_status_name(stage->status),
            .attempt = stage->attempt,
            .deadline_ms = stage->status == STAGE_ACTIVE ? stage->deadline_ms : 0,
            .remaining_ms = stage->status == STAGE_ACTIVE ? 0 : stage->deadline_ms,
        };
        if (stages != NULL) {
            stages[i] = info;
        }
    }
    return stages;
}

static const char *const *pack_steps(struct packer *packer, const struct workflow *workflow) {
    const char **steps = packer_take(packer, workflow->step_count * sizeof(*steps));
    for (size_t i = 0; i < workflow->step_count; i++) {
        const char *name =
            packer_string(packer, workflow->definition->steps[workflow->steps[i]].name);
        if (steps != NULL) {
            steps[i] = name;
        }
    }
    return steps;
}

/* Is this the field's value in force, or was it given again later? */
static bool is_in_force(const struct workflow *workflow, const struct field *field) {
    struct bytes_view value =
        workflow_field(workflow, (const char *)field->name.data, field->name.size);
    return value.data == field->value.data;
}

static const struct wf_field *pack_data(struct packer *packer, const struct workflow *workflow,
                                        size_t *count) {
    size_t total = 0;
    size_t at = 0;
    unsigned step;
    struct field field;
    while (workflow_field_next(workflow, &at, &step, &field)) {
        total += is_in_force(workflow, &field);
    }
    struct wf_field *data = packer_take(packer, total * sizeof(*data));
    *count = 0;
    at = 0;
    while (*count < total && workflow_field_next(workflow, &at, &step, &field)) {
        if (!is_in_force(workflow, &field)) {
            continue;
        }
        struct wf_field out = {.name = packer_text(packer, field.name.data, field.name.size),
                               .value = packer_text(packer, field.value.data, field.value.size)};
        if (data != NULL) {
            data[*count] = out;
        }
        (*count)++;
    }
    return data;
}

static const char *proposal_word(const struct proposal *proposal) {
    switch (proposal->kind) {
    case PROPOSAL_ROLLBACK:
        return "rollback";
    case PROPOSAL_CANCEL:
        return "cancel";
    case PROPOSAL_REOPEN:
        break;
    }
    return stage_status_name(proposal->outcome);
}

static const char *pack_view(struct packer *packer, struct bytes_view view) {
    return view.size == 0 ? NULL : packer_text(packer, view.data, view.size);
}

static struct wf_review pack_review(struct packer *packer, const struct workflow *workflow,
                                    const struct proposal *proposal) {
    const struct definition *definition = workflow->definition;
    unsigned index = proposal->kind == PROPOSAL_REOPEN ? proposal->stage : proposal->waiting;
    const struct definition_stage *stage = &definition->stages[index];
    return (struct wf_review){
        .id = packer_text(packer, workflow->id, workflow->id_size),
        .type = packer_string(packer, definition->name),
        .version = definition->version,
        .stage = packer_string(packer, stage->name),
        .attempt = workflow->stages[index].attempt,
        .role = packer_string(packer, definition_stage_role(stage)),
        .four_eyes = stage->four_eyes,
        .proposal = proposal_word(proposal),
        .target = proposal->kind == PROPOSAL_ROLLBACK
                      ? packer_string(packer, definition->stages[proposal->stage].name)
                      : NULL,
        .actor = pack_view(packer, proposal_actor(proposal)),
        .reason = pack_view(packer, proposal_reason(proposal)),
        .since_ms = proposal->time_ms,
        .lsn = proposal->lsn,
    };
}

/* What can be decided now: while a rollback waits, that and nothing else. */
static const struct wf_review *pack_reviews(struct packer *packer, const struct workflow *workflow,
                                            size_t *count) {
    const struct proposal *rollback = workflow_rollback(workflow);
    const struct proposal *first = rollback != NULL ? rollback : workflow->proposals;
    *count = 0;
    if (!workflow_waits(workflow)) {
        return NULL;
    }
    for (const struct proposal *p = first; p != NULL; p = rollback != NULL ? NULL : p->next) {
        (*count)++;
    }
    struct wf_review *reviews = packer_take(packer, *count * sizeof(*reviews));
    size_t i = 0;
    for (const struct proposal *p = first; i < *count; p = p->next, i++) {
        struct wf_review review = pack_review(packer, workflow, p);
        if (reviews != NULL) {
            reviews[i] = review;
        }
    }
    return reviews;
}

static const char *pack_key(struct packer *packer, const struct workflow *workflow,
                            const struct task *task) {
    char key[COMMAND_ID_MAX + DEFINITION_NAME_MAX + 40];
    (void)snprintf(key, sizeof(key), "%s/%s/%" PRIu32 "%s", workflow->id,
                   workflow->definition->stages[task->stage].name, task->epoch,
                   task->compensate ? "/compensate" : "");
    return packer_string(packer, key);
}

static const char *const *pack_args(struct packer *packer,
                                    const struct definition_handler *handler) {
    const char **args = packer_take(packer, handler->arg_count * sizeof(*args));
    for (size_t i = 0; i < handler->arg_count; i++) {
        const char *arg = packer_string(packer, handler->args[i]);
        if (args != NULL) {
            args[i] = arg;
        }
    }
    return args;
}

static struct wf_task pack_task(struct packer *packer, const struct workflow *workflow,
                                const struct task *task) {
    const struct definition_handler *handler = task_handler(workflow->definition, task);
    struct bytes_view worker = task_worker(task);
    struct bytes_view reason = task_reason(task);
    return (struct wf_task){
        .stage = packer_string(packer, workflow->definition->stages[task->stage].name),
        .compensate = task->compensate,
        .epoch = task->epoch,
        .attempt = task->tries,
        .attempts_max = handler->attempts,
        .status = task_status_name(task->status),
        .due_ms = task->due_ms,
        .worker = worker.size == 0 ? NULL : packer_text(packer, worker.data, worker.size),
        .reason = reason.size == 0 ? NULL : packer_text(packer, reason.data, reason.size),
        .key = pack_key(packer, workflow, task),
        .args = pack_args(packer, handler),
        .arg_count = handler->arg_count,
        .timeout_ms = handler->timeout_ms,
    };
}

/* `whole`: the workflow that they are packed with, for what they share with it. */
static const struct wf_task *pack_tasks(struct packer *packer, const struct workflow *workflow,
                                        const struct wf_workflow *whole, size_t *count) {
    *count = 0;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next) {
        (*count)++;
    }
    struct wf_task *tasks = packer_take(packer, *count * sizeof(*tasks));
    size_t i = 0;
    for (const struct task *task = workflow->tasks; task != NULL; task = task->next, i++) {
        struct wf_task made = pack_task(packer, workflow, task);
        made.id = whole->id;
        made.type = whole->type;
        made.version = whole->version;
        made.data = whole->data;
        made.data_count = whole->data_count;
        if (tasks != NULL) {
            tasks[i] = made;
        }
    }
    return tasks;
}

const struct wf_moved *workflow_out_moved(struct packer *packer, const struct stage_money *money,
                                          int sign, size_t *count) {
    struct stage_money_entry entry;
    *count = 0;
    for (size_t at = 0; stage_money_next(money, &at, &entry);) {
        *count += entry.kind != 0;
    }
    struct wf_moved *moved = packer_take(packer, *count * sizeof(*moved));
    size_t i = 0;
    for (size_t at = 0; i < *count && stage_money_next(money, &at, &entry);) {
        const struct currency *currency = currency_find(entry.currency);
        if (entry.kind == 0 || currency == NULL) {
            continue;
        }
        char amount[MONEY_TEXT_SIZE];
        (void)money_print(amount, entry.amount * sign, currency);
        struct wf_moved made = {.account =
                                    packer_text(packer, entry.account.data, entry.account.size),
                                .amount = packer_string(packer, amount),
                                .currency = currency->code};
        if (moved != NULL) {
            moved[i] = made;
        }
        i++;
    }
    return moved;
}

static const struct wf_stage_money *pack_money(struct packer *packer,
                                               const struct workflow *workflow, size_t *count) {
    *count = 0;
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next) {
        (*count)++;
    }
    struct wf_stage_money *all = packer_take(packer, *count * sizeof(*all));
    size_t i = 0;
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next) {
        struct wf_stage_money made = {
            .stage = packer_string(packer, workflow->definition->stages[money->stage].name),
            .attempt = money->epoch,
            .lsn = money->lsn};
        made.moved = workflow_out_moved(packer, money, 1, &made.moved_count);
        if (all != NULL) {
            all[i] = made;
        }
        i++;
    }
    return all;
}

static struct wf_workflow *pack_workflow(struct packer *packer, const struct workflow *workflow) {
    struct wf_workflow *out = packer_take(packer, sizeof(*out));
    struct wf_workflow made = {
        .id = packer_text(packer, workflow->id, workflow->id_size),
        .type = packer_string(packer, workflow->definition->name),
        .version = workflow->definition->version,
        .status = workflow_status_name(workflow->status),
        .reason = packer_string(packer, workflow->reason),
        .lsn = workflow->lsn,
        .started_ms = workflow->started_ms,
        .changed_ms = workflow->changed_ms,
        .stage_count = workflow->definition->stage_count,
        .step_count = workflow->step_count,
    };
    made.stages = pack_stages(packer, workflow);
    made.steps = pack_steps(packer, workflow);
    made.data = pack_data(packer, workflow, &made.data_count);
    made.tasks = pack_tasks(packer, workflow, &made, &made.task_count);
    made.reviews = pack_reviews(packer, workflow, &made.review_count);
    made.money = pack_money(packer, workflow, &made.money_count);
    const struct proposal *rollback = workflow_rollback(workflow);
    if (rollback != NULL) {
        made.going_back = proposal_word(rollback);
        made.target =
            rollback->kind == PROPOSAL_ROLLBACK
                ? packer_string(packer, workflow->definition->stages[rollback->stage].name)
                : NULL;
    }
    int stage = workflow_current_stage(workflow);
    if (out != NULL) {
        made.stage = stage < 0 ? NULL : made.stages[stage].name;
        *out = made;
    }
    return out;
}

enum wf_status workflow_out_make(const struct workflow *workflow, struct wf_workflow **out,
                                 struct wf_error *err) {
    struct packer packer = {0};
    (void)pack_workflow(&packer, workflow);
    uint8_t *base = malloc(packer.used);
    if (base == NULL) {
        *out = NULL;
        return error_set(err, WF_NO_MEMORY, "no memory for a workflow");
    }
    packer = (struct packer){.base = base};
    *out = pack_workflow(&packer, workflow);
    return WF_OK;
}

void wf_workflow_free(struct wf_workflow *workflow) {
    free(workflow); /* it begins the one block */
}
