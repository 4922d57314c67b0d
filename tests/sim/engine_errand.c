#include "tests/sim/engine_errand.h"

#include "engine/core/task.h"

#include <stdio.h>
#include <string.h>

const char errand_worker[] = "carrier";

static const char *const names[] = {"fetch", "carry", "check", "pay"};
enum { NAMES = sizeof names / sizeof names[0], FETCH = 0, LEASE_MS = 3600000 };

#define HANDLER "handler: {callback: true, attempts: 2, backoff: 1s}, compensate: callback"

static const char *const texts[ERRAND_VERSIONS] = {
    "workflow: errand\nversion: 1\n"
    "steps: {paid: {completes: pay, requires: [note]}}\n"
    "stages:\n"
    "  - {name: fetch, " HANDLER "}\n"
    "  - {name: carry, needs: [fetch], " HANDLER "}\n"
    "  - {name: pay, needs: [carry]}\n",
    "workflow: errand\nversion: 2\n"
    "steps: {paid: {completes: pay, requires: [note]}}\n"
    "stages:\n"
    "  - {name: fetch, " HANDLER "}\n"
    "  - {name: check, needs: [fetch], handler: callback}\n"
    "  - {name: carry, needs: [fetch], " HANDLER "}\n"
    "  - {name: pay, needs: [carry]}\n",
};

const char *errand_yaml(unsigned version) {
    return texts[version - 1];
}

const char *errand_stage(unsigned stage) {
    return names[stage];
}

static uint8_t stage_of(const struct workflow *errand, const struct task *task) {
    const char *name = errand->definition->stages[task->stage].name;
    uint8_t stage = 0;
    while (stage + 1 < NAMES && strcmp(names[stage], name) != 0)
        stage++;
    return stage;
}

/* What to do about the first task: claim it, answer it (or for another attempt), or try again. */
static void about_task(const struct workflow *errand, uint64_t random,
                       struct store_command *command) {
    const struct task *task = errand->tasks;
    command->step = stage_of(errand, task);
    command->compensate = task->compensate;
    command->epoch = task->epoch;
    command->tries = task->tries;
    switch (task->status) {
    case TASK_DUE:
        command->claim = true;
        command->keyed = false;
        break;
    case TASK_PARKED:
        command->kind = WF_TASK_RETRY;
        break;
    case TASK_CLAIMED:
        command->kind = random % 3 == 0 ? WF_TASK_FAIL : WF_TASK_COMPLETE;
        command->tries += random % 8 == 1 ? 1 : 0; /* fenced: a refusal on record */
        break;
    }
}

struct store_command errand_some(struct store_run *run) {
    uint64_t random = sim_random_next(&run->random);
    struct store_command command = {.kind = WF_WORKFLOW_START,
                                    .number = run->next_number++,
                                    .loan = (uint8_t)(random % 2),
                                    .keyed = random / 8 % 3 == 0,
                                    .errand = true};
    char id[24];
    snprintf(id, sizeof id, "L%u", command.loan);
    const struct workflow *errand =
        run->engine == NULL ? NULL : state_workflow(&run->engine->state, text_view(id));
    if (errand == NULL || errand->entity.deleted)
        return command; /* it may be on the disk only: then this is a start that is refused */
    switch (random / 512 % 10) {
    case 0:
        command.kind = WF_CLOCK_ADVANCE; /* past a backoff */
        return command;
    case 1:
        command.kind = WF_WORKFLOW_ROLLBACK;
        command.step = FETCH;
        return command;
    case 2:
        command.kind = WF_WORKFLOW_MIGRATE;
        return command;
    case 3:
        command.loan = STORE_LOANS;
        return command;
    default:
        break;
    }
    if (errand->tasks != NULL)
        about_task(errand, random / 8192, &command);
    else
        command.kind = WF_WORKFLOW_SUBMIT;
    return command;
}

enum wf_status errand_claim(struct wf_engine *engine, struct wf_error *err) {
    struct wf_workflow *workflow = NULL;
    const struct wf_task *task = NULL;
    enum wf_status status =
        wf_task_claim(engine, errand_worker, LEASE_MS, &workflow, &task, NULL, err);
    wf_workflow_free(workflow);
    return status;
}
