#include "tests/sim/rollback_books.h"

#include "engine/core/account.h"
#include "engine/core/reference.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const names[FUNDS_ACCOUNTS] = {[FUNDS_A] = "A",
                                                  [FUNDS_B] = "B",
                                                  [FUNDS_C] = "C",
                                                  [FUNDS_E] = "E",
                                                  [FUNDS_LOAN] = "LOAN",
                                                  [FUNDS_CASH] = "CASH/USD",
                                                  [FUNDS_BANK] = "BANK/USD",
                                                  [FUNDS_FX] = "FX/USD",
                                                  [FUNDS_FX_E] = "FX/EUR",
                                                  [FUNDS_OPENING] = "OPENING/USD",
                                                  [FUNDS_OPENING_E] = "OPENING/EUR"};

static const char *const types[FUNDS_TYPES] = {
    [FUNDS_DEPOSIT] = "deposit",
    [FUNDS_WITHDRAWAL] = "withdrawal",
    [FUNDS_TRANSFER] = "transfer",
    [FUNDS_FEE] = "fee_deduction",
    [FUNDS_EXCHANGE] = "currency_exchange",
    [FUNDS_DISBURSEMENT] = "loan_disbursement",
    [FUNDS_PAYMENT] = "loan_payment",
    [FUNDS_HOLD] = "hold",
    [FUNDS_POST] = "post",
    [FUNDS_VOID] = "void",
};

static const char rate_name[] = "USD_to_EUR";

const char *books_account_name(unsigned account) {
    return names[account];
}

static struct bytes_view cents_text(char text[24], int64_t cents) {
    int64_t size = cents < 0 ? -cents : cents;
    snprintf(text, 24, "%s%" PRId64 ".%02" PRId64, cents < 0 ? "-" : "", size / 100, size % 100);
    return text_view(text);
}

struct command books_setup(unsigned index, struct books_text *text, struct field fields[2]) {
    struct command command = {.kind = COMMAND_RATE_SET, .subject = text_view(rate_name)};
    if (index == FUNDS_CUSTOMERS) {
        fields[0] = (struct field){text_view("rate"), text_view("0.90")};
        fields[1] = (struct field){text_view("source"), text_view("us")};
        command.as.reference_set.fields = fields;
        command.as.reference_set.field_count = 2;
        return command;
    }
    command.kind = COMMAND_ACCOUNT_OPEN;
    command.subject = text_view(names[index]);
    command.as.account_open.type = text_view(index == FUNDS_LOAN ? "loan" : "checking");
    command.as.account_open.currency = text_view(index == FUNDS_E ? "EUR" : "USD");
    command.as.account_open.balance = cents_text(text->amount[0], funds_balance_first[index]);
    command.as.account_open.minimum = cents_text(text->amount[1], funds_minimum[index]);
    return command;
}

static bool takes_from(enum funds_type type) {
    return type != FUNDS_DEPOSIT && type != FUNDS_DISBURSEMENT;
}

static bool takes_to(enum funds_type type) {
    return type == FUNDS_DEPOSIT || type == FUNDS_DISBURSEMENT || type == FUNDS_TRANSFER ||
           type == FUNDS_HOLD;
}

static void write_one(const struct funds_ask *ask, char text[24], struct operation *operation) {
    static const char *const holds[FUNDS_HOLD_NAMES] = {"h0", "h1", "h2"};
    bool of_hold = ask->type == FUNDS_POST || ask->type == FUNDS_VOID;
    *operation = (struct operation){.type = text_view(types[ask->type])};
    if (takes_from(ask->type))
        operation->from = text_view(names[ask->from]);
    if (takes_to(ask->type))
        operation->to = text_view(names[ask->to]);
    if (ask->type == FUNDS_DISBURSEMENT)
        operation->from = text_view(names[FUNDS_LOAN]);
    if (ask->type == FUNDS_PAYMENT)
        operation->to = text_view(names[FUNDS_LOAN]);
    if (ask->type == FUNDS_EXCHANGE)
        operation->to = text_view(names[FUNDS_E]);
    if (ask->type != FUNDS_VOID && ask->cents != 0)
        operation->amount = cents_text(text, ask->cents);
    if (!of_hold)
        operation->currency = text_view(ask->type == FUNDS_EXCHANGE ? rate_name : "USD");
    if (of_hold || ask->type == FUNDS_HOLD)
        operation->hold = text_view(holds[ask->hold]);
    if (ask->type == FUNDS_HOLD)
        operation->expires_in_ms = ask->expires_in_ms;
}

void books_write(const struct funds_ask *asks, size_t count, struct books_text *text) {
    for (size_t i = 0; i < count; i++)
        write_one(&asks[i], text->amount[i], &text->operations[i]);
}

void books_tell(const struct funds_ask *asks, size_t count) {
    for (size_t i = 0; i < count; i++)
        fprintf(stderr, "      %s %s to %s, %" PRId64 " cents, hold %u for %" PRId64 " ms\n",
                types[asks[i].type], names[asks[i].from], names[asks[i].to], asks[i].cents,
                asks[i].hold, asks[i].expires_in_ms);
}

bool books_differ(const struct core_store *store, const struct funds *funds, int64_t now_ms,
                  char words[200]) {
    for (unsigned i = 0; i < FUNDS_ACCOUNTS; i++) {
        const struct account *account = state_account(&store->state, text_view(names[i]));
        int64_t balance = account == NULL ? 0 : account->balance;
        int64_t held = account == NULL ? 0 : account_held(account, now_ms);
        bool frozen = account != NULL && account->status == ACCOUNT_FROZEN;
        if (balance == funds->balance[i] && held == funds_held(funds, i, now_ms) &&
            frozen == (i < FUNDS_CUSTOMERS && funds->frozen[i]))
            continue;
        snprintf(words, 200,
                 "account %s: the engine has %" PRId64 ", %" PRId64 " held%s, the model %" PRId64
                 ", %" PRId64 " held%s",
                 names[i], balance, held, frozen ? ", frozen" : "", funds->balance[i],
                 funds_held(funds, i, now_ms),
                 i < FUNDS_CUSTOMERS && funds->frozen[i] ? ", frozen" : "");
        return true;
    }
    return false;
}

size_t books_entities(struct core_store *store, struct entity *out[BOOKS_ENTITIES]) {
    size_t count = 0;
    for (unsigned i = 0; i < FUNDS_ACCOUNTS; i++) {
        struct account *account = state_account(&store->state, text_view(names[i]));
        if (account != NULL)
            out[count++] = &account->entity;
    }
    struct reference *rate = state_reference(&store->state, REFERENCE_RATE, text_view(rate_name));
    if (rate != NULL)
        out[count++] = &rate->entity;
    return count;
}
