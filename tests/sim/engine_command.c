#include "tests/sim/engine_command.h"

#include "tests/lib/core_store.h"
#include "tests/sim/engine_errand.h"
#include "tests/sim/engine_money.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "a=1 b=2", as the fields of the command; the last value grows to the size that was asked for. */
static void set_fields(struct command_text *text, const char *pairs, size_t value_size) {
    snprintf(text->fields_text, sizeof text->fields_text, "%s", pairs);
    char *rest = NULL;
    size_t count = 0;
    for (char *pair = strtok_r(text->fields_text, " ", &rest); pair != NULL;
         pair = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(pair, '=');
        *equals = '\0';
        text->fields[count++] = (struct wf_field){pair, equals + 1};
    }
    if (value_size > 0) {
        text->value = sim_allocate(value_size + 1, 1);
        memset(text->value, 'v', value_size);
        text->fields[count - 1].value = text->value;
    }
    text->command.fields = text->fields;
    text->command.field_count = count;
}

static void set_id(struct command_text *text, const struct store_command *command) {
    if (command->loan < STORE_LOANS)
        snprintf(text->id, sizeof text->id, "L%u", command->loan);
    else
        snprintf(text->id, sizeof text->id, "N%u", command->number);
    text->command.id = text->id;
}

static const char *const stages[] = {"credit_check", "income_verification", "collateral_assessment",
                                     "final_approval"};
enum { STAGES = sizeof stages / sizeof stages[0] };

/* A command of engine_errand.h. */
static void set_errand(struct command_text *text, const struct store_command *command) {
    struct wf_command *out = &text->command;
    out->stage = errand_stage(command->step % 4);
    out->compensate = command->compensate;
    out->attempt = command->epoch;
    out->tries = command->tries;
    out->worker = errand_worker;
    out->reason = "the door was shut";
    out->version = ERRAND_VERSIONS;
    if (command->kind == WF_TASK_COMPLETE)
        set_fields(text, "note=done", command->value_size);
}

void command_text_init(struct command_text *text, const struct store_command *command) {
    *text = (struct command_text){.command = {.kind = command->kind}};
    struct wf_command *out = &text->command;
    snprintf(text->actor, sizeof text->actor, "clerk-%u", command->number);
    out->actor = text->actor;
    if (command->keyed) {
        snprintf(text->key, sizeof text->key, "key-%u", command->number);
        out->key = text->key;
    }
    set_id(text, command);
    switch (command->kind) {
    case WF_DEFINITION_ADD:
        out->text = command->errand ? errand_yaml(command->step) : core_loan_yaml;
        break;
    case WF_WORKFLOW_START:
        out->type = command->errand ? "errand" : "loan_application";
        set_fields(text, "branch=north", command->value_size);
        break;
    case WF_WORKFLOW_SUBMIT:
        out->step = command->errand ? "paid" : core_loan_steps[command->step][0];
        set_fields(text, command->errand ? "note=cash" : core_loan_steps[command->step][1],
                   command->value_size);
        if (command->money)
            money_set_of_stage(text, command);
        break;
    case WF_WORKFLOW_FAIL:
        out->stage = stages[command->step % STAGES];
        out->reason = "the bureau says no";
        break;
    case WF_WORKFLOW_CANCEL:
        out->reason = "the applicant withdrew";
        out->rollback = command->number % 2 == 0;
        break;
    case WF_WORKFLOW_ROLLBACK:
        out->stage = command->errand ? errand_stage(command->step) : stages[command->step % STAGES];
        out->reason = "the papers of another";
        break;
    case WF_REVIEW_APPROVE:
    case WF_REVIEW_REJECT:
        out->stage = stages[command->step % STAGES];
        out->role = command->step % STAGES == 3 ? "executive" : "reviewer";
        break;
    case WF_CLOCK_ADVANCE:
        out->duration_ms = 1000;
        break;
    case WF_WORKFLOW_MIGRATE:
    case WF_TASK_COMPLETE:
    case WF_TASK_FAIL:
    case WF_TASK_RETRY:
        set_errand(text, command);
        break;
    case WF_ACCOUNT_OPEN:
    case WF_ACCOUNT_TRANSACT:
    case WF_ACCOUNT_FREEZE:
    case WF_ACCOUNT_UNFREEZE:
        money_set(text, command);
        break;
    case WF_ACCOUNT_CLOSE:
    case WF_ACCOUNT_REVERSE:
    case WF_RATE_SET:
    case WF_INSTRUMENT_SET:
    case WF_CALENDAR_SET:
    case WF_FEE_RULE_SET:
        abort(); /* no scenario asks for these */
    }
}

void command_text_deinit(struct command_text *text) {
    free(text->value);
}

/* A command again, with the same key, that was given before. */
static bool pick_repeated(struct store_run *run, struct store_command *out) {
    const struct store_model *model = &run->model;
    size_t at = (size_t)(sim_random_next(&run->random) % (model->count + 1));
    for (; at < model->count; at++) {
        if (model->all[at].command.keyed) {
            *out = model->all[at].command;
            return true;
        }
    }
    return false;
}

int command_stage_that_waits(const struct workflow *loan) {
    for (int i = 0; i < STAGES; i++)
        if (loan->stages[i].status == STAGE_AWAITING_REVIEW)
            return i;
    return -1;
}

struct store_command command_some(struct store_run *run, size_t value_size_max) {
    uint64_t random = sim_random_next(&run->random);
    struct store_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                    .number = run->next_number,
                                    .loan = (uint8_t)(random % STORE_LOANS),
                                    .keyed = random / 8 % 3 == 0};
    if (random / 64 % 8 == 0 && pick_repeated(run, &command))
        return command;
    run->next_number++;
    if (value_size_max > 0)
        command.value_size = (uint16_t)(1 + random / 4096 % value_size_max);
    char id[24];
    snprintf(id, sizeof id, "L%u", command.loan);
    const struct workflow *loan =
        run->engine == NULL ? NULL : state_workflow(&run->engine->state, text_view(id));
    if (loan == NULL || loan->entity.deleted) {
        /* It may be on the disk only: then this is a start that is refused. */
        command.kind = WF_WORKFLOW_START;
        return command;
    }
    command.step = (uint8_t)(loan->step_count < 5 ? loan->step_count : 4);
    int waiting = command_stage_that_waits(loan);
    if (waiting >= 0 && random / 32768 % 4 > 0) {
        command.kind = random / 131072 % 4 == 0 ? WF_REVIEW_REJECT : WF_REVIEW_APPROVE;
        command.step = (uint8_t)waiting;
        return command;
    }
    switch (random / 512 % 12) {
    case 0:
        command.kind = WF_CLOCK_ADVANCE;
        break;
    case 1:
        command.kind = WF_WORKFLOW_CANCEL;
        break;
    case 2:
        command.kind = WF_WORKFLOW_FAIL;
        command.step = (uint8_t)(command.step > 0 ? command.step - 1 : 0); /* the active one */
        break;
    case 3:
        command.kind = WF_WORKFLOW_ROLLBACK;
        command.step = (uint8_t)(random / 32768 % STAGES);
        break;
    case 4:
        command.kind = WF_WORKFLOW_START;
        command.loan = STORE_LOANS;
        break;
    default:
        break;
    }
    return command;
}
