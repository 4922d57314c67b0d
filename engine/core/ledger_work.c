/* One transaction while it is decided: accounts as the operations so far left them, the postings
 * that are added, the refusal in words. Changes nothing of the state. */
#include "engine/core/ledger.h"

#include "engine/core/decision.h"
#include "engine/core/text.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    FEW_TOUCHES = 8,       /* are found by looking at each */
    EVENTS_FOR_REST = 512, /* what else may come, when expired holds are told */
};

/* --- refusals --- */

bool ledger_refuse(struct ledger_work *work, const char *format, ...) {
    char words[DECISION_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(words, sizeof words, format, args);
    va_end(args);
    struct decision *decision = work->decision;
    if (work->operation == NULL)
        decision_refuse(decision, "%s%s", work->what, words);
    else
        decision_refuse(decision, "operation %zu (%.*s): %s",
                        work->before + (size_t)(work->operation - work->operations) + 1,
                        (int)(work->operation->type.size < 40 ? work->operation->type.size : 40),
                        (const char *)work->operation->type.data, words);
    return false;
}

/* --- lines --- */

void ledger_begin(struct ledger_work *work, const struct state *state, struct decision *decision) {
    *work = (struct ledger_work){.state = state, .decision = decision};
    decision->touch_count = decision->posting_count = decision->note_count = 0;
    decision->name_count = 0;
}

static size_t slot_of(struct bytes_view name) {
    return (size_t)table_hash(name.data, name.size) & (DECISION_SLOTS - 1);
}

static void fill_slot(struct decision *decision, size_t touch) {
    size_t slot = slot_of(decision->touches[touch].name);
    while (decision->slots[slot] != 0)
        slot = (slot + 1) & (DECISION_SLOTS - 1);
    decision->slots[slot] = (uint16_t)(touch + 1);
}

static int find_line(const struct decision *decision, struct bytes_view name) {
    if (decision->touch_count <= FEW_TOUCHES) {
        for (size_t i = 0; i < decision->touch_count; i++)
            if (text_same(decision->touches[i].name, name))
                return (int)i;
        return LEDGER_NONE;
    }
    for (size_t slot = slot_of(name);; slot = (slot + 1) & (DECISION_SLOTS - 1)) {
        unsigned touch = decision->slots[slot];
        if (touch == 0)
            return LEDGER_NONE;
        if (text_same(decision->touches[touch - 1].name, name))
            return (int)touch - 1;
    }
}

static int add_line(struct decision *decision, enum entity_kind kind, struct bytes_view name) {
    size_t touch = decision->touch_count++;
    decision->touches[touch] = (struct record_touch){.kind = kind, .name = name};
    decision->lines[touch] =
        (struct ledger_line){.minimum = ACCOUNT_NO_MINIMUM, .status = ACCOUNT_ACTIVE};
    if (touch == FEW_TOUCHES) {
        memset(decision->slots, 0, sizeof decision->slots);
        for (size_t i = 0; i < touch; i++)
            fill_slot(decision, i);
    }
    if (touch >= FEW_TOUCHES)
        fill_slot(decision, touch);
    return (int)touch;
}

/* Holds that expired are told by the first record that meets them; they count no more either way.
 */
static void tell_expired(struct ledger_work *work, int line, const struct account *account) {
    struct decision *decision = work->decision;
    for (size_t i = 0; i < account->hold_count; i++) {
        const struct account_hold *hold = &account->holds[i];
        if (!account_hold_is_expired(hold, decision->time_ms)) {
            if (hold->expires_ms != 0)
                decision_same_until(decision, hold->expires_ms);
            continue;
        }
        if (decision->event_count + COMMAND_OPERATIONS_MAX * 2 + EVENTS_FOR_REST >=
            RECORD_EVENTS_MAX)
            return;
        struct event *event = decision_add(decision, EVENT_HOLD_ENDED);
        event->as.hold_ended.account = (uint32_t)line;
        event->as.hold_ended.end = HOLD_EXPIRED;
        event->as.hold_ended.name = text_view(hold->name);
        decision->lines[line].hold_count--;
    }
}

static int add_account(struct ledger_work *work, const struct account *account) {
    struct decision *decision = work->decision;
    struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
    int line = add_line(decision, account->entity.kind, number);
    decision->touches[line].previous = account->history;
    decision->touches[line].currency = currency_code(account->currency);
    decision->lines[line] = (struct ledger_line){
        .account = account,
        .currency = account->currency,
        .balance = account->balance,
        .held = account->hold_count == 0 ? 0 : account_held(account, decision->time_ms),
        .minimum = account->minimum,
        .hold_count = account->hold_count,
        .status = account->status,
        .is_loan = account_is_loan(account),
    };
    if (account->hold_count > 0)
        tell_expired(work, line, account);
    return line;
}

int ledger_line(struct ledger_work *work, struct bytes_view number) {
    const struct decision *decision = work->decision;
    const struct account *account = NULL;
    /* One of the bank's own may be in use already: nobody names it all the same. */
    int line = find_line(decision, number);
    if (line != LEDGER_NONE && decision->touches[line].kind == ENTITY_ACCOUNT)
        return line;
    if (line == LEDGER_NONE)
        account = state_account(work->state, number);
    if (account != NULL && !account_is_internal(account))
        return add_account(work, account);
    ledger_refuse(work, "there is no account \"%.*s\"", (int)(number.size < 64 ? number.size : 64),
                  (const char *)number.data);
    return LEDGER_NONE;
}

int ledger_open_line(struct ledger_work *work, enum entity_kind kind, struct bytes_view number,
                     struct bytes_view type, const struct currency *currency, int64_t minimum) {
    struct decision *decision = work->decision;
    int line = add_line(decision, kind, number);
    decision->lines[line].currency = currency;
    decision->lines[line].minimum = minimum;
    decision->lines[line].is_loan = text_equal(type, "loan");
    decision->touches[line].currency = currency_code(currency);
    struct event *event = decision_add(decision, EVENT_ACCOUNT_OPENED);
    event->as.account_opened.account = (uint32_t)line;
    event->as.account_opened.type = type;
    event->as.account_opened.currency = currency_code(currency);
    event->as.account_opened.minimum = minimum;
    return line;
}

static int open_internal(struct ledger_work *work, const char *number,
                         const struct currency *currency) {
    struct decision *decision = work->decision;
    assert(decision->name_count < sizeof decision->names / sizeof decision->names[0]);
    char *name = decision->names[decision->name_count++];
    snprintf(name, sizeof decision->names[0], "%s", number);
    return ledger_open_line(work, ENTITY_INTERNAL_ACCOUNT, text_view(name),
                            text_view(ACCOUNT_TYPE_INTERNAL), currency, ACCOUNT_NO_MINIMUM);
}

int ledger_internal_line(struct ledger_work *work, const char *name,
                         const struct currency *currency) {
    char number[16];
    int size = snprintf(number, sizeof number, "%s/%s", name, currency->code);
    struct bytes_view view = {(const uint8_t *)number, (size_t)size};
    int line = find_line(work->decision, view);
    if (line != LEDGER_NONE)
        return line;
    const struct account *account = state_account(work->state, view);
    return account != NULL ? add_account(work, account) : open_internal(work, number, currency);
}

static int meet(struct ledger_work *work, struct bytes_view number) {
    int line = find_line(work->decision, number);
    if (line != LEDGER_NONE)
        return line;
    const struct account *account = state_account(work->state, number);
    return account == NULL ? LEDGER_NONE : add_account(work, account);
}

bool ledger_meets(struct ledger_work *work, struct bytes_view number) {
    return meet(work, number) != LEDGER_NONE;
}

int ledger_any_line(struct ledger_work *work, struct bytes_view number) {
    int line = meet(work, number);
    if (line != LEDGER_NONE)
        return line;
    ledger_refuse(work, "account %.*s is not there", TEXT_ARGS(number));
    return LEDGER_NONE;
}

struct ledger_line *ledger_line_at(struct ledger_work *work, int line) {
    return &work->decision->lines[line];
}

struct bytes_view ledger_line_name(struct ledger_work *work, int line) {
    return work->decision->touches[line].name;
}

/* --- postings --- */

void ledger_posting_begin(struct ledger_work *work, enum operation_kind kind) {
    struct decision *decision = work->decision;
    struct event *event = decision_add(decision, EVENT_OPERATION_POSTED);
    event->as.operation_posted.operation = kind;
    event->as.operation_posted.rules = work->rules;
    event->as.operation_posted.postings = &decision->postings[decision->posting_count];
    event->as.operation_posted.posting_count = 0;
    event->as.operation_posted.fields = &decision->notes[decision->note_count];
    event->as.operation_posted.field_count = 0;
}

static struct event *last_event(struct ledger_work *work) {
    return &work->decision->events[work->decision->event_count - 1];
}

bool ledger_post(struct ledger_work *work, int line, int64_t amount) {
    struct decision *decision = work->decision;
    int64_t *balance = &decision->lines[line].balance;
    if (__builtin_add_overflow(*balance, amount, balance))
        return ledger_refuse(work, "the balance of %.*s would leave 64 bits",
                             TEXT_ARGS(decision->touches[line].name));
    decision->postings[decision->posting_count++] =
        (struct posting){.account = (uint32_t)line, .amount = amount};
    last_event(work)->as.operation_posted.posting_count++;
    return true;
}

void ledger_note(struct ledger_work *work, const char *name, struct bytes_view value) {
    struct decision *decision = work->decision;
    decision->notes[decision->note_count++] = (struct field){text_view(name), value};
    last_event(work)->as.operation_posted.field_count++;
}

void ledger_end_hold(struct ledger_work *work, int line, const struct account_hold *hold,
                     enum hold_end end) {
    ledger_line_at(work, line)->held -= hold->amount;
    ledger_line_at(work, line)->hold_count--;
    struct event *event = decision_add(work->decision, EVENT_HOLD_ENDED);
    event->as.hold_ended.account = (uint32_t)line;
    event->as.hold_ended.end = end;
    event->as.hold_ended.name = text_view(hold->name);
}

void ledger_drop_new(struct decision *decision) {
    size_t kept = 0;
    for (size_t i = 0; i < decision->touch_count; i++) {
        if (decision->lines[i].account == NULL)
            continue;
        decision->touches[kept] = decision->touches[i];
        decision->touches[kept].balance = decision->lines[i].account->balance;
        kept++;
    }
    decision->touch_count = kept;
}

void ledger_finish(struct ledger_work *work) {
    struct decision *decision = work->decision;
    for (size_t i = 0; i < decision->touch_count; i++)
        decision->touches[i].balance = decision->lines[i].balance;
}

/* --- what several operations check --- */

bool ledger_amount(struct ledger_work *work, struct bytes_view text,
                   const struct currency *currency, int64_t *amount) {
    int shown = (int)(text.size < 64 ? text.size : 64);
    const char *data = text.size > 0 ? (const char *)text.data : "";
    if (text.size == 0)
        return ledger_refuse(work, "the amount is missing");
    enum decimal_problem problem = decimal_parse(text, currency->scale, amount);
    if (problem == DECIMAL_TOO_PRECISE)
        return ledger_refuse(work, "the amount \"%.*s\" has more than the %u decimals of %s", shown,
                             data, currency->scale, currency->code);
    if (problem != DECIMAL_OK)
        return ledger_refuse(work, "the amount \"%.*s\" %s", shown, data,
                             decimal_problem_words(problem));
    if (*amount <= 0)
        return ledger_refuse(work, "the amount \"%.*s\" must be greater than zero", shown, data);
    return true;
}

bool ledger_is_active(struct ledger_work *work, int line) {
    enum account_status status = ledger_line_at(work, line)->status;
    return status == ACCOUNT_ACTIVE ||
           ledger_refuse(work, "account %.*s is %s", TEXT_ARGS(ledger_line_name(work, line)),
                         account_status_name(status));
}

bool ledger_can_pay(struct ledger_work *work, int line, int64_t amount) {
    const struct ledger_line *from = ledger_line_at(work, line);
    int64_t left;
    if (from->minimum == ACCOUNT_NO_MINIMUM)
        return true;
    if (!__builtin_sub_overflow(from->balance, from->held, &left) &&
        !__builtin_sub_overflow(left, amount, &left) && left >= from->minimum)
        return true;
    char balance[MONEY_TEXT_SIZE], held[MONEY_TEXT_SIZE], minimum[MONEY_TEXT_SIZE],
        needed[MONEY_TEXT_SIZE];
    return ledger_refuse(
        work,
        "sufficient_funds: account %.*s holds %s %s, of which %s are held and %s must remain; %s "
        "are needed",
        TEXT_ARGS(ledger_line_name(work, line)),
        money_print(balance, from->balance, from->currency), from->currency->code,
        money_print(held, from->held, from->currency),
        money_print(minimum, from->minimum, from->currency),
        money_print(needed, amount, from->currency));
}
