/* What is done to one account: opened, frozen, unfrozen, closed. Each is a command, or one
 * operation among others of a transaction; the rules are the same. */
#include "engine/core/ledger.h"

#include "engine/core/decision.h"
#include "engine/core/text.h"

#include <stdarg.h>
#include <stdio.h>

/* A malformed command is told as such; a malformed operation is refused, and named. False. */
static bool malformed(struct ledger_work *work, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool malformed(struct ledger_work *work, const char *format, ...) {
    char words[DECISION_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (work->operation != NULL)
        return ledger_refuse(work, "%s", words);
    decision_fail(work->decision, WF_USAGE, "%s", words);
    return false;
}

/* --- opening --- */

struct opening {
    struct bytes_view number, type, currency;
    struct bytes_view balance, minimum; /* may be empty */
};

static bool check_words(struct ledger_work *work, const struct opening *opening) {
    struct bytes_view code = opening->currency;
    if (!account_number_is_good(opening->number))
        return malformed(work,
                         "the number of an account must have 1 to %d bytes of UTF-8 without "
                         "control characters and without \"/\"",
                         ACCOUNT_NUMBER_MAX);
    if (!text_is_name(opening->type, ACCOUNT_TYPE_MAX) ||
        text_equal(opening->type, ACCOUNT_TYPE_INTERNAL))
        return malformed(work,
                         "the type of an account must be a word such as checking, savings, "
                         "investment or loan, of at most %d bytes",
                         ACCOUNT_TYPE_MAX);
    return currency_find(code) != NULL || malformed(work, "\"%.*s\" is no currency such as USD",
                                                    (int)(code.size < 32 ? code.size : 32),
                                                    code.size > 0 ? (const char *)code.data : "");
}

static bool read_amount(struct ledger_work *work, const char *what, struct bytes_view text,
                        const struct currency *currency, int64_t *amount) {
    enum decimal_problem problem = decimal_parse(text, currency->scale, amount);
    return problem == DECIMAL_OK ||
           malformed(work, "the %s \"%.*s\" %s in %s", what, (int)(text.size < 64 ? text.size : 64),
                     (const char *)text.data, decimal_problem_words(problem), currency->code);
}

static bool read_amounts(struct ledger_work *work, const struct opening *opening,
                         const struct currency *currency, int64_t *balance, int64_t *minimum) {
    bool loan = text_equal(opening->type, "loan");
    *balance = 0;
    *minimum = loan ? ACCOUNT_NO_MINIMUM : 0;
    if ((opening->balance.size > 0 &&
         !read_amount(work, "balance", opening->balance, currency, balance)) ||
        (opening->minimum.size > 0 &&
         !read_amount(work, "minimum", opening->minimum, currency, minimum)))
        return false;
    if (loan ? *balance > 0 : *balance < 0)
        return malformed(work, "the balance of %s may not be %s zero",
                         loan ? "a loan" : "an account at its beginning", loan ? "above" : "below");
    return *minimum == ACCOUNT_NO_MINIMUM || *balance >= *minimum ||
           ledger_refuse(work, "the balance is below the minimum");
}

/* The balance at the beginning comes from somewhere too. */
static bool post_opening(struct ledger_work *work, int line, int64_t balance) {
    if (balance == 0)
        return true;
    int other = ledger_internal_line(work, "OPENING", ledger_line_at(work, line)->currency);
    ledger_posting_begin(work, OPERATION_OPENING);
    return ledger_post(work, other, -balance) && ledger_post(work, line, balance);
}

static bool open_account(struct ledger_work *work, const struct opening *opening) {
    int64_t balance, minimum;
    if (!check_words(work, opening))
        return false;
    if (account_name_is_reserved(opening->number))
        return ledger_refuse(work,
                             "\"%.*s\" is the bank's own: CASH, MARKET, BANK, FX and OPENING are "
                             "no numbers of customers' accounts",
                             TEXT_ARGS(opening->number));
    if (ledger_meets(work, opening->number))
        return ledger_refuse(work, "account \"%.*s\" is there already", TEXT_ARGS(opening->number));
    const struct currency *currency = currency_find(opening->currency);
    if (!read_amounts(work, opening, currency, &balance, &minimum))
        return false;
    int line =
        ledger_open_line(work, ENTITY_ACCOUNT, opening->number, opening->type, currency, minimum);
    return post_opening(work, line, balance);
}

bool ledger_decide_account_open(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    const struct opening opening = {operation->account, operation->account_type,
                                    operation->currency, operation->amount, operation->minimum};
    return open_account(work, &opening);
}

void ledger_decide_open(const struct state *state, const struct command *command,
                        struct decision *decision) {
    const struct opening opening = {
        command->subject, command->as.account_open.type, command->as.account_open.currency,
        command->as.account_open.balance, command->as.account_open.minimum};
    struct ledger_work work;
    ledger_begin(&work, state, decision);
    if (open_account(&work, &opening))
        ledger_finish(&work);
    else
        ledger_drop_new(decision);
}

/* --- its status --- */

/* From, to, in the order of the commands and of the operations: freeze, unfreeze, close. */
static const struct change {
    enum account_status from, to;
} changes[] = {{ACCOUNT_ACTIVE, ACCOUNT_FROZEN},
               {ACCOUNT_FROZEN, ACCOUNT_ACTIVE},
               {ACCOUNT_ACTIVE, ACCOUNT_CLOSED}};

static bool may_close(struct ledger_work *work, int at) {
    char balance[MONEY_TEXT_SIZE];
    const struct ledger_line *line = ledger_line_at(work, at);
    struct bytes_view number = ledger_line_name(work, at);
    if (line->balance != 0)
        return ledger_refuse(work, "account %.*s holds %s %s: it must be empty to be closed",
                             TEXT_ARGS(number), money_print(balance, line->balance, line->currency),
                             line->currency->code);
    return line->hold_count == 0 ||
           ledger_refuse(work, "account %.*s has %zu holds: post or void them first",
                         TEXT_ARGS(number), line->hold_count);
}

static bool set_status(struct ledger_work *work, int at, const struct change *change,
                       struct bytes_view reason) {
    struct ledger_line *line = ledger_line_at(work, at);
    if (line->status != change->from)
        return ledger_refuse(work, "account %.*s is %s", TEXT_ARGS(ledger_line_name(work, at)),
                             account_status_name(line->status));
    if (change->to == ACCOUNT_CLOSED && !may_close(work, at))
        return false;
    line->status = change->to;
    struct event *event = decision_add(work->decision, EVENT_ACCOUNT_STATUS_SET);
    event->as.account_status_set.account = (uint32_t)at;
    event->as.account_status_set.status = change->to;
    event->as.account_status_set.reason = reason;
    return true;
}

bool ledger_decide_account_status(struct ledger_work *work) {
    const struct operation *operation = work->operation;
    if (operation->account.size == 0)
        return ledger_refuse(work, "the \"account\" is missing");
    int line = ledger_line(work, operation->account);
    return line != LEDGER_NONE &&
           set_status(work, line, &changes[work->kind - OPERATION_ACCOUNT_FREEZE],
                      operation->reason);
}

void ledger_decide_status(const struct state *state, const struct command *command,
                          struct decision *decision) {
    struct ledger_work work;
    ledger_begin(&work, state, decision);
    const struct account *account = state_account(state, command->subject);
    if (account == NULL || account_is_internal(account)) {
        decision_fail(decision, WF_NOT_FOUND, "there is no account \"%.*s\"",
                      TEXT_ARGS(command->subject));
        return;
    }
    (void)set_status(&work, ledger_line(&work, command->subject),
                     &changes[command->kind - COMMAND_ACCOUNT_FREEZE],
                     command->as.account_status.reason);
    ledger_finish(&work);
}

void ledger_decide_expire(const struct state *state, const struct command *command,
                          struct decision *decision) {
    struct ledger_work work;
    ledger_begin(&work, state, decision);
    (void)ledger_line(&work, command->subject); /* whoever meets an account tells what expired */
    if (decision->event_count == 0 || decision->status != WF_OK) {
        decision_fail(decision, WF_REFUSED, "no hold of account %.*s has expired",
                      TEXT_ARGS(command->subject));
        return;
    }
    ledger_finish(&work);
}
