#include "tests/sim/engine_money.h"

#include "engine/core/account.h"
#include "engine/core/workflow.h"

#include <stdio.h>

enum { ACCOUNTS = 3, HOLDS = 3, LAST_STEP = 4 };

static const char *const accounts[ACCOUNTS] = {"A-0", "A-1", "A-2"};
static const char *const holds[HOLDS] = {"h0", "h1", "h2"};
static const char *const types[] = {"deposit", "withdrawal", "transfer", "hold", "post", "void"};
enum { DEPOSIT, WITHDRAWAL, TRANSFER, HOLD, POST, VOID, TYPES };

/* Operation `index` of the transaction: all follows from the command. Only the first one ends a
 * hold, of which there may be none. */
static void set_operation(struct command_text *text, const struct store_command *command,
                          size_t index) {
    unsigned type = index == 0 ? command->step : (command->number + (unsigned)index) % POST;
    struct wf_operation *operation = &text->operations[index];
    operation->type = types[type];
    if (type != DEPOSIT)
        operation->from = accounts[command->loan];
    if (type == DEPOSIT)
        operation->to = accounts[command->loan];
    if (type == TRANSFER || type == HOLD)
        operation->to = accounts[(command->loan + 1) % ACCOUNTS];
    if (type >= HOLD)
        operation->hold = holds[type == HOLD ? command->number % HOLDS : command->epoch];
    if (type <= HOLD) {
        snprintf(text->amounts[index], sizeof text->amounts[index], "%u.%02u", command->number % 70,
                 command->number % 100);
        operation->amount = text->amounts[index];
        operation->currency = "USD";
    }
}

void money_set(struct command_text *text, const struct store_command *command) {
    struct wf_command *out = &text->command;
    out->id = command->kind == WF_ACCOUNT_TRANSACT ? NULL : accounts[command->loan];
    out->type = "checking";
    out->currency = "USD";
    out->amount = "100.00";
    out->reason = "asked for";
    if (command->kind != WF_ACCOUNT_TRANSACT)
        return;
    out->operation_count = 1 + command->number % STORE_OPERATIONS_MAX;
    for (size_t i = 0; i < out->operation_count; i++)
        set_operation(text, command, i);
    out->operations = text->operations;
}

/* Little, so that most of it can be done: a transfer, a deposit or a hold. */
static void set_operation_of_stage(struct command_text *text, const struct store_command *command,
                                   size_t index) {
    static const unsigned of_stages[] = {TRANSFER, DEPOSIT, HOLD, TRANSFER};
    unsigned number = command->number + 3 * (unsigned)index, type = of_stages[number % 4];
    struct wf_operation *operation = &text->operations[index];
    operation->type = types[type];
    operation->currency = "USD";
    operation->to = accounts[number % ACCOUNTS];
    if (type != DEPOSIT)
        operation->from = accounts[(number + 1 + number / 4 % 2) % ACCOUNTS];
    if (type == HOLD)
        operation->hold = holds[number % HOLDS];
    snprintf(text->amounts[index], sizeof text->amounts[index], "%u.%02u", number % 9,
             number % 100);
    operation->amount = text->amounts[index];
}

void money_set_of_stage(struct command_text *text, const struct store_command *command) {
    size_t count = command->number % (STORE_OPERATIONS_MAX + 1);
    for (size_t i = 0; i < count; i++)
        set_operation_of_stage(text, command, i);
    text->command.operations = text->operations;
    text->command.operation_count = count;
}

struct store_command money_some(struct store_run *run) {
    uint64_t random = sim_random_next(&run->random);
    struct store_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                    .number = run->next_number++,
                                    .loan = (uint8_t)(random % ACCOUNTS),
                                    .step = (uint8_t)(random / 64 % POST),
                                    .keyed = random / 8 % 3 == 0};
    const struct account *account =
        run->engine == NULL ? NULL
                            : state_account(&run->engine->state, text_view(accounts[command.loan]));
    if (account == NULL || account->entity.deleted) {
        /* It may be on the disk only. */
        command.kind = random / 4096 % 3 == 0 ? WF_ACCOUNT_TRANSACT : WF_ACCOUNT_OPEN;
        return command;
    }
    if (account->hold_count > 0 && random / 4096 % 2 == 0) {
        command.step = random / 8192 % 2 == 0 ? POST : VOID;
        command.epoch = (uint32_t)(account->holds[0].name[1] - '0');
    }
    if (account->status == ACCOUNT_FROZEN && random / 512 % 2 == 0)
        command.kind = WF_ACCOUNT_UNFREEZE;
    else if (random / 512 % 12 == 1)
        command.kind = WF_ACCOUNT_FREEZE;
    return command;
}

/* Of a loan that is in memory: on to its end, and back from wherever it is. */
static void about_loan(const struct workflow *loan, uint64_t random,
                       struct store_command *command) {
    int waiting = command_stage_that_waits(loan);
    command->kind = WF_WORKFLOW_SUBMIT;
    command->step = (uint8_t)(loan->step_count < LAST_STEP ? loan->step_count : LAST_STEP);
    if (waiting >= 0 && random % 8 != 0) {
        command->kind = random / 8 % 5 == 0 ? WF_REVIEW_REJECT : WF_REVIEW_APPROVE;
        command->step = (uint8_t)waiting;
    } else if (workflow_has_ended(loan) || random % 6 == 1) {
        command->kind = WF_WORKFLOW_ROLLBACK;
        command->step = (uint8_t)(random / 8 % 3);
    } else if (random % 32 == 2) {
        command->kind = WF_WORKFLOW_CANCEL;
    }
    command->money = command->kind == WF_WORKFLOW_SUBMIT && command->step > 0;
}

struct store_command money_some_of_stages(struct store_run *run) {
    uint64_t random = sim_random_next(&run->random);
    if (random % 4 == 0)
        return money_some(run);
    struct store_command command = {.kind = WF_WORKFLOW_START,
                                    .number = run->next_number++,
                                    .loan = (uint8_t)(random / 4 % 2),
                                    .keyed = random / 8 % 3 == 0};
    const struct workflow *loan =
        run->engine == NULL
            ? NULL
            : state_workflow(&run->engine->state, text_view(command.loan == 0 ? "L0" : "L1"));
    if (loan != NULL && !loan->entity.deleted)
        about_loan(loan, random / 64, &command);
    return command;
}

void money_open_accounts(struct store_run *run) {
    for (uint8_t i = 0; i < ACCOUNTS && !run->failed; i++) {
        struct store_command command = {
            .kind = WF_ACCOUNT_OPEN, .number = run->next_number++, .loan = i};
        store_run_execute(run, &command);
    }
}

void money_check(struct store_run *run) {
    struct wf_error err = {0};
    enum wf_status status = wf_account_check(run->engine, NULL, &err);
    store_run_check(run, status == WF_OK, "accounts: %s: %s", error_code(status), err.text);
}
