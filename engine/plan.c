/* What a rollback would do, without doing it: decided on the state as it is, and nothing logged. */
#include "engine/engine.h"

#include "engine/command_in.h"
#include "engine/core/rollback.h"
#include "engine/core/stage_money.h"
#include "engine/packer.h"
#include "engine/workflow_out.h"

#include <stdlib.h>
#include <string.h>

static bool is_field_of(const struct workflow *workflow, const struct field *field, unsigned of,
                        int step) {
    struct bytes_view in_force =
        workflow_field(workflow, (const char *)field->name.data, field->name.size);
    return (int)of == step && in_force.data == field->value.data;
}

static void pack_fields(struct packer *packer, const struct workflow *workflow, int step,
                        struct wf_plan_stage *out) {
    size_t count = 0;
    unsigned of;
    struct field field;
    for (size_t at = 0; workflow_field_next(workflow, &at, &of, &field);) {
        count += is_field_of(workflow, &field, of, step);
    }
    const char **names = packer_take(packer, count * sizeof(*names));
    size_t packed = 0;
    for (size_t at = 0; packed < count && workflow_field_next(workflow, &at, &of, &field);) {
        if (!is_field_of(workflow, &field, of, step)) {
            continue;
        }
        const char *name = packer_text(packer, field.name.data, field.name.size);
        if (names != NULL) {
            names[packed] = name;
        }
        packed++;
    }
    out->fields = names;
    out->field_count = count;
}

/* The step in force that completed the stage; -1: none. */
static int completing_step(const struct workflow *workflow, unsigned stage) {
    for (size_t i = 0; i < workflow->step_count; i++) {
        if (workflow->definition->steps[workflow->steps[i]].completes == (int)stage) {
            return workflow->steps[i];
        }
    }
    return -1;
}

static struct wf_plan_stage pack_stage(struct packer *packer, const struct workflow *workflow,
                                       unsigned index) {
    const struct definition_stage *stage = &workflow->definition->stages[index];
    int step = completing_step(workflow, index);
    struct wf_plan_stage out = {
        .stage = packer_string(packer, stage->name),
        .status = stage_status_name(workflow->stages[index].status),
        .strategy = rollback_strategy_name(stage->rollback),
        .attempt = workflow->stages[index].attempt,
        .role = packer_string(packer, definition_stage_role(stage)),
        .four_eyes = stage->four_eyes,
    };
    if (step >= 0) {
        out.step = packer_string(packer, workflow->definition->steps[step].name);
        pack_fields(packer, workflow, step, &out);
    }
    const struct stage_money *money = stage_money_find(workflow, index);
    if (money != NULL) {
        out.money_lsn = money->lsn;
        out.moved = workflow_out_moved(packer, money, -1, &out.moved_count);
    }
    return out;
}

static struct wf_plan *pack_plan(struct packer *packer, const struct workflow *workflow,
                                 unsigned target) {
    unsigned order[DEFINITION_STAGES_MAX];
    size_t count = rollback_plan(workflow, target, order);
    struct wf_plan *plan = packer_take(packer, sizeof(*plan));
    struct wf_plan_stage *stages = packer_take(packer, count * sizeof(*stages));
    for (size_t i = 0; i < count; i++) {
        struct wf_plan_stage stage = pack_stage(packer, workflow, order[i]);
        if (stages != NULL) {
            stages[i] = stage;
        }
    }
    const char *name = target == STAGE_NONE ? NULL : workflow->definition->stages[target].name;
    struct wf_plan made = {.id = packer_text(packer, workflow->id, workflow->id_size),
                           .target = packer_string(packer, name),
                           .stages = stages,
                           .stage_count = count};
    if (plan != NULL) {
        *plan = made;
    }
    return plan;
}

static enum wf_status make_plan(const struct workflow *workflow, unsigned target,
                                struct wf_plan **out, struct wf_error *err) {
    struct packer packer = {0};
    (void)pack_plan(&packer, workflow, target);
    uint8_t *base = malloc(packer.used);
    if (base == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a plan");
    }
    packer = (struct packer){.base = base};
    *out = pack_plan(&packer, workflow, target);
    return WF_OK;
}

/* The mutex is held. */
static enum wf_status plan(struct wf_engine *engine, struct command *command, struct wf_plan **out,
                           struct wf_error *err) {
    struct workflow *workflow = NULL;
    enum wf_status status = engine_find_workflow(engine, command->subject, &workflow, err);
    if (status != WF_OK) {
        return status;
    }
    status = engine_load_for_command(engine, command, err); /* the accounts too */
    if (status != WF_OK) {
        return status;
    }
    command->now_ms = engine_now_ms(engine);
    decide(&engine->state, command, &engine->decision);
    if (engine->decision.status != WF_OK) {
        return error_set(err, engine->decision.status, "%s", engine->decision.message);
    }
    unsigned target = STAGE_NONE;
    if (command->kind == COMMAND_WORKFLOW_ROLLBACK) {
        struct bytes_view name = command->as.workflow_rollback.stage;
        target = (unsigned)definition_stage_index(workflow->definition, (const char *)name.data,
                                                  name.size);
    }
    return make_plan(workflow, target, out, err);
}

/* What it read may not be durable yet: wait, as every query does. */
static enum wf_status durable_plan(struct wf_engine *engine, struct command *command,
                                   struct wf_plan **out, struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = plan(engine, command, out, err);
    struct wal_ticket ticket = engine_last_ticket(engine);
    cache_trim(engine);
    pthread_mutex_unlock(&engine->mutex);
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

enum wf_status wf_rollback_plan(struct wf_engine *engine, const struct wf_command *command,
                                struct wf_plan **out, struct wf_error *err) {
    *out = NULL;
    bool cancels = command->kind == WF_WORKFLOW_CANCEL && command->rollback;
    if (command->kind != WF_WORKFLOW_ROLLBACK && !cancels) {
        return error_set(err, WF_USAGE, "only a rollback has a plan");
    }
    struct command_in in;
    struct wf_command keyless =
        *command; /* an earlier use of the key would be an answer, no plan */
    keyless.key = NULL;
    enum wf_status status = command_in_make(&in, &keyless, err);
    if (status != WF_OK) {
        return status;
    }
    unsigned attempts = 0;
    do {
        free(*out);
        *out = NULL;
        status = durable_plan(engine, &in.command, out, err);
    } while (engine_ask_again(status, &attempts));
    command_in_deinit(&in);
    if (status != WF_OK) {
        wf_plan_free(*out);
        *out = NULL;
    }
    return status;
}

void wf_plan_free(struct wf_plan *plan) {
    free(plan); /* it begins the one block */
}
