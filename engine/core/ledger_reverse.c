/* Moving back what a record moved: of a stage that is undone, of a transaction that is reversed.
 * New postings, the opposite of what the record put on each account altogether, one operation for
 * each currency. It is all or nothing: an account that is frozen or closed, that would fall below
 * its minimum, or a loan that would be paid beyond what is owed refuses the whole command. */
#include "engine/core/ledger.h"

#include "engine/core/decision.h"
#include "engine/core/reversal.h"
#include "engine/core/stage_money.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdio.h>

enum { CURRENCIES_MAX = 256, EVENTS_FOR_REST = 1024 }; /* of a record, beside what goes back */

/* One record has its limits: several stages may have moved more than it can hold. */
static bool check_room(struct ledger_work *work, const struct stage_money *money) {
    const struct decision *decision = work->decision;
    struct stage_money_entry entry;
    size_t postings = 0, holds = 0;
    for (size_t at = 0; stage_money_next(money, &at, &entry);)
        *(entry.kind != 0 ? &postings : &holds) += 1;
    size_t notes = sizeof decision->notes / sizeof decision->notes[0];
    if (decision->touch_count + postings + holds <= RECORD_TOUCHES_MAX &&
        decision->posting_count + postings <= RECORD_POSTINGS_MAX &&
        decision->event_count + holds + CURRENCIES_MAX + EVENTS_FOR_REST <= RECORD_EVENTS_MAX &&
        decision->note_count + CURRENCIES_MAX <= notes)
        return true;
    return ledger_refuse(work, "it is more than one record can hold: go back in smaller steps");
}

/* A hold that the record placed and that is still there is free again. */
static bool end_hold(struct ledger_work *work, const struct stage_money *money,
                     const struct stage_money_entry *entry) {
    int line = ledger_line(work, entry->account);
    if (line == LEDGER_NONE)
        return false;
    const struct account *account = ledger_line_at(work, line)->account;
    const struct account_hold *hold = account_find_hold(account, entry->hold);
    if (hold != NULL && hold->lsn == money->lsn &&
        !account_hold_is_expired(hold, work->decision->time_ms))
        ledger_end_hold(work, line, hold, HOLD_VOIDED);
    return true;
}

static bool check_entry(struct ledger_work *work, int line, int64_t amount) {
    const struct ledger_line *at = ledger_line_at(work, line);
    int64_t balance;
    if (!ledger_is_active(work, line))
        return false;
    if (amount == INT64_MIN || __builtin_sub_overflow(at->balance, amount, &balance))
        return ledger_refuse(work, "the balance of %.*s would leave 64 bits",
                             TEXT_ARGS(ledger_line_name(work, line)));
    if (amount > 0)
        return ledger_can_pay(work, line, amount);
    char owed[MONEY_TEXT_SIZE];
    if (at->is_loan && balance > 0)
        return ledger_refuse(work, "loan %.*s owes %s %s, and not more",
                             TEXT_ARGS(ledger_line_name(work, line)),
                             money_print(owed, -at->balance, at->currency), at->currency->code);
    return true;
}

/* The postings of one currency, as one operation. */
static bool post_back(struct ledger_work *work, const struct stage_money *money,
                      const struct currency *currency, const char *lsn) {
    struct stage_money_entry entry;
    ledger_posting_begin(work, OPERATION_REVERSAL);
    ledger_note(work, "reverses", text_view(lsn));
    for (size_t at = 0; stage_money_next(money, &at, &entry);) {
        if (entry.kind == 0 || currency_find(entry.currency) != currency)
            continue;
        if (!ledger_post(work, ledger_any_line(work, entry.account), -entry.amount))
            return false;
    }
    return true;
}

static bool is_first_of_currency(const struct stage_money *money, size_t until,
                                 const struct currency *currency) {
    struct stage_money_entry entry;
    for (size_t at = 0; at < until && stage_money_next(money, &at, &entry);)
        if (at < until && entry.kind != 0 && currency_find(entry.currency) == currency)
            return false;
    return true;
}

bool ledger_reverse(struct ledger_work *work, const struct stage_money *money, const char *lsn) {
    struct stage_money_entry entry;
    if (!check_room(work, money))
        return false;
    for (size_t at = 0; stage_money_next(money, &at, &entry);)
        if (entry.kind == 0 && !end_hold(work, money, &entry))
            return false;
    for (size_t at = 0; stage_money_next(money, &at, &entry);) {
        int line = entry.kind == 0 ? LEDGER_NONE : ledger_any_line(work, entry.account);
        if (entry.kind != 0 && (line == LEDGER_NONE || !check_entry(work, line, entry.amount)))
            return false;
    }
    for (size_t at = 0; stage_money_next(money, &at, &entry);) {
        const struct currency *currency = currency_find(entry.currency);
        if (entry.kind != 0 && is_first_of_currency(money, at, currency) &&
            !post_back(work, money, currency, lsn))
            return false;
    }
    return true;
}

/* --- a transaction on its own --- */

/* Whatever is refused stands in the history of the accounts. */
static bool see_accounts(struct ledger_work *work, const struct stage_money *money) {
    struct stage_money_entry entry;
    for (size_t at = 0; stage_money_next(money, &at, &entry);)
        if (ledger_any_line(work, entry.account) == LEDGER_NONE)
            return false;
    return true;
}

/* What is not in force cannot be taken back. Its accounts need not be there any more. */
static bool check_effect(struct ledger_work *work, const struct command *command) {
    const struct stage_money *money = command->as.account_reverse.money;
    struct stage_money_entry entry;
    if (!command->as.account_reverse.ineffective || command->as.account_reverse.refused)
        return true;
    for (size_t at = 0; stage_money_next(money, &at, &entry);)
        (void)ledger_meets(work, entry.account);
    return ledger_refuse(work, "a repair left it without effect, for it rests on records that were "
                               "lost: nothing of what it moved is in force");
}

/* Only account.transact moves money that can be reversed on its own, and once. */
static bool check_reversible(struct ledger_work *work, const struct command *command) {
    const struct reversal *reversal = state_reversal(work->state, command->as.account_reverse.lsn);
    enum command_kind of = command->as.account_reverse.of;
    if (command->as.account_reverse.refused)
        return ledger_refuse(work, "it was refused, and moved nothing");
    if (of == COMMAND_WORKFLOW_SUBMIT)
        return ledger_refuse(work,
                             "it completed a stage of workflow %.*s, and its money goes back when "
                             "the stage is undone",
                             TEXT_ARGS(command->as.account_reverse.subject));
    if (of == COMMAND_ACCOUNT_REVERSE)
        return ledger_refuse(work, "it is a reversal itself: what it took back can be given again "
                                   "by another transaction");
    if (of != COMMAND_ACCOUNT_TRANSACT)
        return ledger_refuse(work, "it is no transaction, but %s", command_kind_name(of));
    if (reversal != NULL)
        return ledger_refuse(work, "it was reversed already, in record %" PRIu64, reversal->lsn);
    return command->as.account_reverse.money->size > 0 ||
           ledger_refuse(work, "it moved nothing on any account altogether");
}

void ledger_decide_reverse(const struct state *state, const struct command *command,
                           struct decision *decision) {
    const struct stage_money *money = command->as.account_reverse.money;
    struct ledger_work work;
    ledger_begin(&work, state, decision);
    char *lsn = decision->reversed[0];
    (void)snprintf(lsn, sizeof decision->reversed[0], "%" PRIu64, command->as.account_reverse.lsn);
    (void)snprintf(work.what, sizeof work.what, "record %s cannot be reversed: ", lsn);
    if (!check_effect(&work, command) || !see_accounts(&work, money) ||
        !check_reversible(&work, command) || !ledger_reverse(&work, money, lsn)) {
        ledger_drop_new(decision);
        return;
    }
    struct event *event = decision_add(decision, EVENT_TRANSACTION_REVERSED);
    event->as.transaction_reversed.lsn = command->as.account_reverse.lsn;
    event->as.transaction_reversed.reason = command->as.account_reverse.reason;
    ledger_finish(&work);
}
