#include "tests/sim/engine_money.h"

#include "engine/core/account.h"

#include <stdio.h>

enum { ACCOUNTS = 3, HOLDS = 3 };

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
