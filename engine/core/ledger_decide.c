/* Commands about accounts: opened, frozen, closed, and transactions of several operations that
 * succeed or fail as one. */
#include "engine/core/ledger.h"

#include "engine/core/decision.h"
#include "engine/core/isolation.h"
#include "engine/core/operation_texts.h"
#include "engine/core/reference.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const rule_names[RULE_COUNT] = {
    [RULE_SUFFICIENT_FUNDS] = "sufficient_funds",
    [RULE_SAME_CURRENCY] = "same_currency",
    [RULE_EXCHANGE_RATE_VALIDATION] = "exchange_rate_validation",
    [RULE_MARKET_HOURS] = "market_hours",
    [RULE_INSTRUMENT_AVAILABLE] = "instrument_available",
    [RULE_SERVICE_FEE_RULES] = "service_fee_rules",
};

const char *rule_name(enum rule rule) {
    return (unsigned)rule < RULE_COUNT ? rule_names[rule] : NULL;
}

enum rule rule_parse(struct bytes_view word) {
    unsigned rule = 0;
    while (rule < RULE_COUNT && !text_equal(word, rule_names[rule]))
        rule++;
    return (enum rule)rule;
}

/* Who stands at an end of an operation. */
enum end {
    END_CUSTOMER, /* an account that is no loan */
    END_LOAN,
    END_CASH, /* one of the bank's own, by its name; it need not be given */
    END_MARKET,
    END_BANK,
};

#define BIT(rule) (UINT32_C(1) << RULE_##rule)
#define COMMON (BIT(SUFFICIENT_FUNDS) | BIT(SAME_CURRENCY))

/* By enum operation_kind: the ends of those that move money between two accounts at once, and the
 * rules that make sense for each. */
static const struct operation_terms {
    enum end from, to;
    uint32_t rules;
} terms_of[] = {
    [OPERATION_TRANSFER] = {END_CUSTOMER, END_CUSTOMER, COMMON},
    [OPERATION_CURRENCY_EXCHANGE] = {END_CUSTOMER, END_CUSTOMER,
                                     BIT(SUFFICIENT_FUNDS) | BIT(EXCHANGE_RATE_VALIDATION)},
    [OPERATION_INVESTMENT_PURCHASE] = {END_CUSTOMER, END_MARKET,
                                       COMMON | BIT(MARKET_HOURS) | BIT(INSTRUMENT_AVAILABLE)},
    [OPERATION_FEE_DEDUCTION] = {END_CUSTOMER, END_BANK, COMMON | BIT(SERVICE_FEE_RULES)},
    [OPERATION_DEPOSIT] = {END_CASH, END_CUSTOMER, BIT(SAME_CURRENCY)},
    [OPERATION_WITHDRAWAL] = {END_CUSTOMER, END_CASH, COMMON},
    [OPERATION_LOAN_DISBURSEMENT] = {END_LOAN, END_CUSTOMER, COMMON},
    [OPERATION_LOAN_PAYMENT] = {END_CUSTOMER, END_LOAN, COMMON},
    [OPERATION_HOLD] = {END_CUSTOMER, END_CUSTOMER, COMMON},
    [OPERATION_POST] = {END_CUSTOMER, END_CUSTOMER, 0},
    [OPERATION_VOID] = {END_CUSTOMER, END_CUSTOMER, 0},
    [OPERATION_OPENING] = {END_CASH, END_CASH, 0}, /* not to be asked for, nor the next */
    [OPERATION_REVERSAL] = {END_CASH, END_CASH, 0},
    [OPERATION_ACCOUNT_OPEN] = {END_CUSTOMER, END_CUSTOMER, 0},
    [OPERATION_ACCOUNT_FREEZE] = {END_CUSTOMER, END_CUSTOMER, 0},
    [OPERATION_ACCOUNT_UNFREEZE] = {END_CUSTOMER, END_CUSTOMER, 0},
    [OPERATION_ACCOUNT_CLOSE] = {END_CUSTOMER, END_CUSTOMER, 0},
};

/* --- the ends --- */

static const char *internal_name(enum end end) {
    switch (end) {
    case END_CASH:
        return "CASH";
    case END_MARKET:
        return "MARKET";
    case END_BANK:
        return "BANK";
    case END_CUSTOMER:
    case END_LOAN:
        break;
    }
    return NULL;
}

/* An account that may take part, in this currency. */
static int customer_line(struct ledger_work *work, struct bytes_view number, enum end end,
                         const char *which, const struct currency *currency) {
    if (number.size == 0) {
        ledger_refuse(work, "the account \"%s\" is missing", which);
        return LEDGER_NONE;
    }
    int line = ledger_line(work, number);
    if (line == LEDGER_NONE || !ledger_is_active(work, line))
        return LEDGER_NONE;
    const struct ledger_line *at = ledger_line_at(work, line);
    if (at->is_loan != (end == END_LOAN)) {
        ledger_refuse(work, "account %.*s is %s loan", TEXT_ARGS(number),
                      end == END_LOAN ? "no" : "a");
        return LEDGER_NONE;
    }
    if (at->currency != currency) {
        ledger_refuse(work, "same_currency: account %.*s is in %s, not in %s", TEXT_ARGS(number),
                      at->currency->code, currency->code);
        return LEDGER_NONE;
    }
    return line;
}

static int end_line(struct ledger_work *work, enum end end, struct bytes_view number,
                    const char *which, const struct currency *currency) {
    const char *name = internal_name(end);
    if (name == NULL)
        return customer_line(work, number, end, which, currency);
    if (number.size > 0 && !text_equal(number, name)) {
        ledger_refuse(work, "\"%s\" must be %s, not \"%.*s\"", which, name,
                      (int)(number.size < 64 ? number.size : 64), (const char *)number.data);
        return LEDGER_NONE;
    }
    return ledger_internal_line(work, name, currency);
}

static const struct currency *read_currency(struct ledger_work *work, struct bytes_view code) {
    const struct currency *currency = currency_find(code);
    if (currency == NULL)
        ledger_refuse(work, "\"%.*s\" is no currency such as USD",
                      (int)(code.size < 32 ? code.size : 32),
                      code.size > 0 ? (const char *)code.data : "");
    return currency;
}

/* --- operations --- */

/* A loan takes payments up to what is owed. */
static bool check_payee(struct ledger_work *work, int to, int64_t amount) {
    const struct ledger_line *line = ledger_line_at(work, to);
    if (!line->is_loan || line->balance + amount <= 0)
        return true;
    char owed[MONEY_TEXT_SIZE];
    return ledger_refuse(work, "loan %.*s owes %s %s, and not more",
                         TEXT_ARGS(ledger_line_name(work, to)),
                         money_print(owed, -line->balance, line->currency), line->currency->code);
}

static bool check_rules(struct ledger_work *work, const struct currency *currency, int64_t amount) {
    bool market = (work->rules & (BIT(MARKET_HOURS) | BIT(INSTRUMENT_AVAILABLE))) != 0;
    if (market && !ledger_rule_instrument(work, currency))
        return false;
    return (work->rules & BIT(SERVICE_FEE_RULES)) == 0 || ledger_rule_fee(work, currency, amount);
}

static bool check_distinct(struct ledger_work *work, int from, int to) {
    return from != to || ledger_refuse(work, "\"from\" and \"to\" are the same account");
}

/* Everything that takes from one account what it gives to another. */
static bool decide_move(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    const struct operation_terms *terms = &terms_of[work->kind];
    const struct currency *currency = read_currency(work, operation->currency);
    int64_t amount;
    if (currency == NULL || !ledger_amount(work, operation->amount, currency, &amount))
        return false;
    int from = end_line(work, terms->from, operation->from, "from", currency);
    int to = from == LEDGER_NONE ? from : end_line(work, terms->to, operation->to, "to", currency);
    if (to == LEDGER_NONE || !check_distinct(work, from, to) ||
        !check_rules(work, currency, amount) || !ledger_can_pay(work, from, amount) ||
        !check_payee(work, to, amount))
        return false;
    ledger_posting_begin(work, work->kind);
    if (operation->instrument.size > 0)
        ledger_note(work, "instrument", operation->instrument);
    if (operation->fee_rule.size > 0)
        ledger_note(work, "fee_rule", operation->fee_rule);
    return ledger_post(work, from, -amount) && ledger_post(work, to, amount);
}

/* "USD_to_EUR" */
static bool read_pair(struct ledger_work *work, const struct currency **from,
                      const struct currency **to) {
    struct bytes_view pair = work->operation->currency;
    const size_t second = CURRENCY_SIZE + strlen("_to_");
    *from = *to = NULL;
    if (pair.size == second + CURRENCY_SIZE &&
        memcmp(pair.data + CURRENCY_SIZE, "_to_", strlen("_to_")) == 0) {
        *from = currency_find((struct bytes_view){pair.data, CURRENCY_SIZE});
        *to = currency_find((struct bytes_view){pair.data + second, CURRENCY_SIZE});
    }
    if (*from != NULL && *to != NULL && *from != *to)
        return true;
    return ledger_refuse(work, "\"%.*s\" is no pair of two currencies such as USD_to_EUR",
                         (int)(pair.size < 32 ? pair.size : 32),
                         pair.size > 0 ? (const char *)pair.data : "");
}

/* The bank stands between: it takes the one currency and gives the other. */
static bool decide_exchange(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    const struct currency *sold, *bought;
    int64_t amount, rate, worth;
    if (!read_pair(work, &sold, &bought) || !ledger_amount(work, operation->amount, sold, &amount))
        return false;
    int from = customer_line(work, operation->from, END_CUSTOMER, "from", sold);
    int to =
        from == LEDGER_NONE ? from : customer_line(work, operation->to, END_CUSTOMER, "to", bought);
    if (to == LEDGER_NONE || !ledger_can_pay(work, from, amount) ||
        !ledger_rule_rate(work, sold, bought, &rate))
        return false;
    if (!money_convert(amount, sold, rate, bought, &worth))
        return ledger_refuse(work, "the amount in %s would leave 64 bits", bought->code);
    if (worth == 0)
        return ledger_refuse(work, "the amount is worth less than the smallest unit of %s",
                             bought->code);
    int takes = ledger_internal_line(work, "FX", sold);
    int gives = ledger_internal_line(work, "FX", bought);
    ledger_posting_begin(work, work->kind);
    ledger_note(work, "pair", operation->currency);
    const struct reference *reference =
        state_reference(work->state, REFERENCE_RATE, operation->currency);
    for (size_t i = 0; reference != NULL && i < reference->field_count; i++)
        if (operation->rate.size == 0 || !text_equal(reference->fields[i].name, "rate"))
            ledger_note(work, (const char *)reference->fields[i].name.data,
                        reference->fields[i].value);
    if (operation->rate.size > 0)
        ledger_note(work, "rate", operation->rate);
    return ledger_post(work, from, -amount) && ledger_post(work, takes, amount) &&
           ledger_post(work, gives, -worth) && ledger_post(work, to, worth);
}

/* --- two phases --- */

/* By an operation before this one, or because it expired. */
static bool is_ended_here(const struct ledger_work *work, int line, struct bytes_view name) {
    for (size_t i = 0; i < work->decision->event_count; i++) {
        const struct event *event = &work->decision->events[i];
        if (event->kind == EVENT_HOLD_ENDED && event->as.hold_ended.account == (uint32_t)line &&
            text_same(event->as.hold_ended.name, name))
            return true;
    }
    return false;
}

/* By an operation before this one; by one of a call of the session before, whose view has it. */
static bool is_placed_here(const struct ledger_work *work, int line, struct bytes_view name) {
    const struct account *account = work->decision->lines[line].account;
    const struct account_hold *hold = account == NULL ? NULL : account_find_hold(account, name);
    if (hold != NULL && hold->lsn == 0)
        return true;
    for (size_t i = 0; i < work->decision->event_count; i++) {
        const struct event *event = &work->decision->events[i];
        if (event->kind == EVENT_HOLD_PLACED && event->as.hold_placed.account == (uint32_t)line &&
            text_same(event->as.hold_placed.name, name))
            return true;
    }
    return false;
}

static const struct account_hold *find_hold(struct ledger_work *work, int line) {
    const struct account *account = ledger_line_at(work, line)->account;
    struct bytes_view name = work->operation->hold;
    const struct account_hold *hold = account == NULL ? NULL : account_find_hold(account, name);
    if (hold != NULL && hold->lsn != 0 && !account_hold_is_expired(hold, work->decision->time_ms) &&
        !is_ended_here(work, line, name))
        return hold;
    if (is_placed_here(work, line, name)) {
        ledger_refuse(work,
                      "the hold \"%.*s\" is placed by this transaction: it can be posted or voided "
                      "when that is done, not within it",
                      TEXT_ARGS(name));
        return NULL;
    }
    ledger_refuse(work,
                  "account %.*s has no hold \"%.*s\": it was never placed, or it was posted, "
                  "voided or expired",
                  TEXT_ARGS(ledger_line_name(work, line)), (int)(name.size < 64 ? name.size : 64),
                  name.size > 0 ? (const char *)name.data : "");
    return NULL;
}

/* The hold says where its money goes and in what: an operation that says otherwise is a mistake. */
static bool is_as_placed(struct ledger_work *work, int from, const struct account_hold *hold) {
    struct bytes_view to = work->operation->to;
    struct bytes_view pair = work->operation->currency;
    const char *code = ledger_line_at(work, from)->currency->code;
    if (to.size > 0 && !text_equal(to, hold->to))
        return ledger_refuse(work, "the hold \"%s\" is for account %s, not for \"%.*s\"",
                             hold->name, hold->to, (int)(to.size < 64 ? to.size : 64),
                             (const char *)to.data);
    if (pair.size > 0 && !text_equal(pair, code))
        return ledger_refuse(work, "the hold \"%s\" is in %s, not in \"%.*s\"", hold->name, code,
                             (int)(pair.size < 64 ? pair.size : 64), (const char *)pair.data);
    return true;
}

static bool name_is_free(struct ledger_work *work, int line) {
    const struct account *account = ledger_line_at(work, line)->account;
    struct bytes_view name = work->operation->hold;
    bool used = account != NULL && account_find_hold(account, name) != NULL &&
                !is_ended_here(work, line, name);
    return (!used && !is_placed_here(work, line, name)) ||
           ledger_refuse(work, "account %.*s has a hold \"%.*s\" already",
                         TEXT_ARGS(ledger_line_name(work, line)), TEXT_ARGS(name));
}

static bool decide_hold(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    const struct currency *currency = read_currency(work, operation->currency);
    int64_t amount;
    if (currency == NULL || !ledger_amount(work, operation->amount, currency, &amount))
        return false;
    if (!text_is_name(operation->hold, HOLD_NAME_MAX))
        return ledger_refuse(work, "\"hold\" must be a name of 1 to %d bytes", HOLD_NAME_MAX);
    int from = customer_line(work, operation->from, END_CUSTOMER, "from", currency);
    int to = from == LEDGER_NONE ? from
                                 : customer_line(work, operation->to, END_CUSTOMER, "to", currency);
    if (to == LEDGER_NONE || !check_distinct(work, from, to) || !name_is_free(work, from) ||
        !ledger_can_pay(work, from, amount))
        return false;
    struct ledger_line *line = ledger_line_at(work, from);
    if (line->hold_count >= ACCOUNT_HOLDS_MAX)
        return ledger_refuse(work, "account %.*s has %d holds already",
                             TEXT_ARGS(ledger_line_name(work, from)), ACCOUNT_HOLDS_MAX);
    line->hold_count++;
    line->held += amount;
    struct event *event = decision_add(work->decision, EVENT_HOLD_PLACED);
    event->as.hold_placed.account = (uint32_t)from;
    event->as.hold_placed.amount = amount;
    event->as.hold_placed.expires_ms =
        operation->expires_in_ms > 0 ? work->decision->time_ms + operation->expires_in_ms : 0;
    if (event->as.hold_placed.expires_ms != 0)
        decision_same_until(work->decision, event->as.hold_placed.expires_ms);
    event->as.hold_placed.name = operation->hold;
    event->as.hold_placed.to = operation->to;
    return true;
}

/* Of a hold the whole amount, or a part of it; the rest is free again. */
static bool decide_post(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    int from = ledger_line(work, operation->from);
    const struct account_hold *hold = from == LEDGER_NONE ? NULL : find_hold(work, from);
    if (hold == NULL || !is_as_placed(work, from, hold) || !ledger_is_active(work, from))
        return false;
    const struct currency *currency = ledger_line_at(work, from)->currency;
    int64_t amount = hold->amount;
    if (operation->amount.size > 0 && !ledger_amount(work, operation->amount, currency, &amount))
        return false;
    char held[MONEY_TEXT_SIZE];
    if (amount > hold->amount)
        return ledger_refuse(work, "the hold \"%s\" is of %s %s, and not more", hold->name,
                             money_print(held, hold->amount, currency), currency->code);
    int to = customer_line(work, text_view(hold->to), END_CUSTOMER, "to", currency);
    if (to == LEDGER_NONE)
        return false;
    ledger_end_hold(work, from, hold, HOLD_POSTED);
    ledger_posting_begin(work, work->kind);
    ledger_note(work, "hold", text_view(hold->name));
    return ledger_post(work, from, -amount) && ledger_post(work, to, amount);
}

static bool decide_void(struct ledger_work *work) {
    int from = ledger_line(work, work->operation->from);
    const struct account_hold *hold = from == LEDGER_NONE ? NULL : find_hold(work, from);
    if (hold == NULL || !is_as_placed(work, from, hold))
        return false;
    if (work->operation->amount.size > 0)
        return ledger_refuse(work, "a hold is voided as a whole: leave the amount out");
    ledger_end_hold(work, from, hold, HOLD_VOIDED);
    return true;
}

/* --- members that do not apply --- */

/* Who gives a member that nothing comes of meant something else. */
static bool check_members(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    uint32_t kind = OPERATION_KIND_BIT(work->kind);
    const char *unused =
        operation->expires_in_ms != 0 && kind != OPERATION_BIT(HOLD) ? "expires_in" : NULL;
#define LOOK_AT(name, words, size_max, kinds)                                                      \
    if (operation->name.size > 0 && ((kinds)&kind) == 0 && unused == NULL)                         \
        unused = #name;
    OPERATION_TEXTS(LOOK_AT)
#undef LOOK_AT
    return unused == NULL || ledger_refuse(work, "it takes no \"%s\"", unused);
}

/* --- a transaction --- */

static bool read_rules(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    for (size_t i = 0; i < operation->rule_count; i++) {
        struct bytes_view word = operation->rules[i];
        enum rule rule = rule_parse(word);
        if (rule == RULE_COUNT)
            return ledger_refuse(work, "there is no rule \"%.*s\"",
                                 (int)(word.size < 64 ? word.size : 64), (const char *)word.data);
        if ((terms_of[work->kind].rules >> rule & 1) == 0)
            return ledger_refuse(work, "the rule %s is not one for this operation",
                                 rule_name(rule));
        work->rules |= UINT32_C(1) << rule;
    }
    return true;
}

static bool no_such_type(struct ledger_work *work) {
    struct bytes_view type = work->operation->type;
    const char *nearest = operation_kind_nearest(type);
    if (type.size == 0)
        return ledger_refuse(work, "the \"type\" is missing");
    if (nearest != NULL)
        return ledger_refuse(work, "there is no operation of this type; did you mean %s?", nearest);
    return ledger_refuse(work, "there is no operation of this type");
}

static bool decide_operation(struct ledger_work *work, const struct operation *operation) {
    work->operation = operation;
    work->kind = operation_kind_parse(operation->type);
    work->rules = 0;
    if (!operation_may_be_asked_for(work->kind))
        return no_such_type(work);
    if (work->kind >= OPERATION_ACCOUNT_OPEN && work->decision->workflow != NULL)
        return ledger_refuse(work, "it does not go with a stage, for what a stage did to accounts "
                                   "must be able to go back with it");
    if (!read_rules(work) || !check_members(work))
        return false;
    switch (work->kind) {
    case OPERATION_CURRENCY_EXCHANGE:
        return decide_exchange(work);
    case OPERATION_HOLD:
        return decide_hold(work);
    case OPERATION_POST:
        return decide_post(work);
    case OPERATION_VOID:
        return decide_void(work);
    case OPERATION_TRANSFER:
    case OPERATION_INVESTMENT_PURCHASE:
    case OPERATION_FEE_DEDUCTION:
    case OPERATION_DEPOSIT:
    case OPERATION_WITHDRAWAL:
    case OPERATION_LOAN_DISBURSEMENT:
    case OPERATION_LOAN_PAYMENT:
        return decide_move(work);
    case OPERATION_ACCOUNT_OPEN:
        return ledger_decide_account_open(work);
    case OPERATION_ACCOUNT_FREEZE:
    case OPERATION_ACCOUNT_UNFREEZE:
    case OPERATION_ACCOUNT_CLOSE:
        return ledger_decide_account_status(work);
    case OPERATION_OPENING:
    case OPERATION_REVERSAL:
        break;
    }
    return false;
}

bool ledger_decide_operations(const struct state *state, const struct operation *operations,
                              size_t count, size_t before, struct decision *decision) {
    struct ledger_work work;
    ledger_begin(&work, state, decision);
    work.operations = operations;
    work.before = before;
    if (count == 0 || count > COMMAND_OPERATIONS_MAX) {
        decision_fail(decision, WF_USAGE, "a transaction has 1 to %d operations, not %zu",
                      COMMAND_OPERATIONS_MAX, count);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!decide_operation(&work, &work.operations[i])) {
            ledger_drop_new(decision);
            return false;
        }
    }
    ledger_finish(&work);
    return true;
}

void ledger_decide_transact(const struct state *state, const struct command *command,
                            struct decision *decision) {
    if (isolation_holds_before(state, command, decision) &&
        ledger_decide_operations(state, command->as.account_transact.operations,
                                 command->as.account_transact.count,
                                 command->as.account_transact.before, decision))
        (void)isolation_holds_after(command, decision);
}
