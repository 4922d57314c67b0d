/* What an event does to accounts. Whatever can be wrong with a record is found while it is
 * reserved: accounts that are not there, postings that do not sum to zero, balances that are not
 * those that were promised. */
#include "engine/core/ledger.h"

#include "engine/core/decision.h"
#include "engine/core/reference.h"
#include "engine/core/reversal.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 wide;

static enum wf_status damage(const struct record *record, const char *what, struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "record %" PRIu64 " %s", record->lsn, what);
}

static bool is_account(enum entity_kind kind) {
    return kind == ENTITY_ACCOUNT || kind == ENTITY_INTERNAL_ACCOUNT;
}

/* --- reserving --- */

static bool reserve_room(struct state_reserved *reserved, size_t count) {
    if (count <= reserved->account_capacity)
        return true;
    size_t capacity = count * 2 + 8;
    struct account **accounts = realloc(reserved->accounts, capacity * sizeof(struct account *));
    if (accounts == NULL)
        return false;
    reserved->accounts = accounts;
    int64_t *balances = realloc(reserved->balances, capacity * sizeof(int64_t));
    if (balances == NULL)
        return false;
    reserved->balances = balances;
    reserved->account_capacity = capacity;
    return true;
}

/* Does an event of the record open it? */
static bool opens(const struct record *record, size_t touch) {
    for (size_t i = 0; i < record->event_count; i++)
        if (record->events[i].kind == EVENT_ACCOUNT_OPENED &&
            record->events[i].as.account_opened.account == touch)
            return true;
    return false;
}

/* The bank's own accounts are opened by whatever record needs them first. Where a repair took that
 * one, the next opens them: they have nothing that does not stand there too. */
static bool opens_internal_again(const struct state *state, const struct record *record,
                                 size_t touch) {
    return state->after_loss && record->touches[touch].kind == ENTITY_INTERNAL_ACCOUNT &&
           currency_find(record->touches[touch].currency) != NULL && record->event_count > 0 &&
           record->events[0].kind != EVENT_COMMAND_REFUSED && !opens(record, touch);
}

/* Was it opened earlier in this record, so that it is in no table yet? */
static bool is_new(const struct account *account) {
    return account->opened_lsn == 0;
}

/* What account_opened says of an account. */
struct opening {
    const struct currency *currency;
    struct bytes_view type;
    int64_t minimum;
};

/* The account of a touch, as the record opens it; it is in no table until that is applied. */
static enum wf_status set_up(struct state *state, const struct record *record, size_t index,
                             const struct opening *opening, struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    const struct record_touch *touch = &record->touches[index];
    size_t opened = 1; /* with those that the record opened before */
    for (size_t i = 0; i < reserved->account_count; i++) {
        if (i != index && text_same(record->touches[i].name, touch->name))
            return damage(record, "touches an account twice", err);
        opened += reserved->accounts[i] != NULL && is_new(reserved->accounts[i]);
    }
    struct account *account = account_create(touch->kind, touch->name);
    if (account == NULL || !table_reserve_many(&state->accounts, opened)) {
        free(account);
        return error_set(err, WF_NO_MEMORY, "no memory for another account");
    }
    account->currency = opening->currency;
    account->minimum = opening->minimum;
    account->opened_ms = record->time_ms;
    memcpy(account->type, opening->type.data, opening->type.size);
    reserved->accounts[index] = account;
    return WF_OK;
}

enum wf_status ledger_reserve_touches(struct state *state, const struct record *record,
                                      struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    if (state->without_accounts)
        return WF_OK;
    if (record->touch_count > RECORD_TOUCHES_MAX)
        return damage(record, "touches too many accounts", err);
    if (!reserve_room(reserved, record->touch_count))
        return error_set(err, WF_NO_MEMORY, "no memory for the accounts of a record");
    for (size_t i = 0; i < record->touch_count; i++) {
        const struct record_touch *touch = &record->touches[i];
        if (!is_account(touch->kind) || touch->name.size == 0 ||
            touch->name.size > ACCOUNT_NUMBER_MAX)
            return damage(record, "touches what is no account", err);
        struct account *account = state_account(state, touch->name);
        if (account != NULL && account->entity.kind != touch->kind)
            return damage(record, "takes an account for one of the bank's own", err);
        if (account != NULL && currency_find(touch->currency) != account->currency)
            return damage(record, "takes an account to be in another currency", err);
        reserved->accounts[i] = account;
        if (account == NULL && opens_internal_again(state, record, i)) {
            const struct opening opening = {currency_find(touch->currency),
                                            text_view(ACCOUNT_TYPE_INTERNAL), ACCOUNT_NO_MINIMUM};
            enum wf_status status = set_up(state, record, i, &opening, err);
            if (status != WF_OK)
                return status;
        }
        reserved->balances[i] = account != NULL ? account->balance : 0;
        reserved->account_count = i + 1;
    }
    return WF_OK;
}

static struct account *account_at(const struct state *state, uint32_t index) {
    return index < state->reserved.account_count ? state->reserved.accounts[index] : NULL;
}

static enum wf_status reserve_opened(struct state *state, const struct record *record,
                                     const struct event *event, struct wf_error *err) {
    struct state_reserved *reserved = &state->reserved;
    uint32_t index = event->as.account_opened.account;
    struct bytes_view type = event->as.account_opened.type;
    const struct currency *currency = currency_find(event->as.account_opened.currency);
    if (index < reserved->account_count && reserved->accounts[index] != NULL && state->after_loss &&
        reserved->accounts[index]->entity.kind == ENTITY_INTERNAL_ACCOUNT)
        return WF_OK; /* by a record that the state passed over when this was decided */
    if (index >= reserved->account_count || reserved->accounts[index] != NULL)
        return damage(record, "opens an account that is there already", err);
    if (currency == NULL || type.size == 0 || type.size > ACCOUNT_TYPE_MAX)
        return damage(record, "opens an account of an unknown currency or type", err);
    const struct record_touch *touch = &record->touches[index];
    if (currency_find(touch->currency) != currency)
        return damage(record, "opens an account in two currencies", err);
    const struct opening opening = {currency, type, event->as.account_opened.minimum};
    return set_up(state, record, index, &opening, err);
}

/* What postings sum to in one currency. */
struct currency_sum {
    const struct currency *currency;
    wide sum;
};
enum { SUMS_MAX = 8 };

static bool add_to_sum(struct currency_sum *sums, size_t *count, const struct currency *currency,
                       int64_t amount) {
    size_t i = 0;
    while (i < *count && sums[i].currency != currency)
        i++;
    if (i == SUMS_MAX)
        return false;
    if (i == *count)
        sums[(*count)++] = (struct currency_sum){currency, 0};
    sums[i].sum += amount;
    return true;
}

static enum wf_status reserve_posted(struct state *state, const struct record *record,
                                     const struct event *event, struct wf_error *err) {
    struct currency_sum sums[SUMS_MAX];
    size_t sum_count = 0;
    if (!operation_kind_posts(event->as.operation_posted.operation))
        return damage(record, "holds an unknown operation", err);
    for (size_t i = 0; i < event->as.operation_posted.posting_count; i++) {
        const struct posting *posting = &event->as.operation_posted.postings[i];
        const struct account *account = account_at(state, posting->account);
        if (account == NULL)
            return damage(record, "posts to an account that is not there", err);
        int64_t *balance = &state->reserved.balances[posting->account];
        if (__builtin_add_overflow(*balance, posting->amount, balance))
            return damage(record, "takes a balance out of 64 bits", err);
        if (!add_to_sum(sums, &sum_count, account->currency, posting->amount))
            return damage(record, "posts in too many currencies", err);
    }
    for (size_t i = 0; i < sum_count; i++)
        if (sums[i].sum != 0)
            return error_set(err, WF_DAMAGE,
                             "record %" PRIu64 ": its postings in %s do not sum to "
                             "zero",
                             record->lsn, sums[i].currency->code);
    return WF_OK;
}

static enum wf_status reserve_hold(struct state *state, const struct record *record,
                                   const struct event *event, struct wf_error *err) {
    struct account *account = account_at(state, event->as.hold_placed.account);
    if (account == NULL || event->as.hold_placed.amount <= 0)
        return damage(record, "places a hold on an account that is not there", err);
    if (event->as.hold_placed.name.size == 0 || event->as.hold_placed.name.size > HOLD_NAME_MAX ||
        event->as.hold_placed.to.size > ACCOUNT_NUMBER_MAX)
        return damage(record, "places a hold of a malformed name", err);
    size_t placed = 0; /* all of the record: its holds move once */
    for (size_t i = 0; i < record->event_count; i++)
        placed += record->events[i].kind == EVENT_HOLD_PLACED &&
                  record->events[i].as.hold_placed.account == event->as.hold_placed.account;
    if (account->hold_count + placed > 2 * ACCOUNT_HOLDS_MAX)
        return damage(record, "places too many holds", err);
    size_t all_placed = 0; /* any of them may be the first of its account that expires */
    for (const struct event *e = record->events; e <= event; e++)
        all_placed += e->kind == EVENT_HOLD_PLACED;
    if (!account_reserve_holds(account, placed) || !timers_reserve_many(&state->holds, all_placed))
        return error_set(err, WF_NO_MEMORY, "no memory for a hold");
    if (is_new(account))
        account->entity.bytes = account_bytes(account);
    else
        state_resize(state, &account->entity, account_bytes(account));
    return WF_OK;
}

static enum wf_status reserve_hold_end(struct state *state, const struct record *record,
                                       const struct event *event, struct wf_error *err) {
    const struct account *account = account_at(state, event->as.hold_ended.account);
    if (account == NULL || hold_end_name(event->as.hold_ended.end) == NULL ||
        account_find_hold(account, event->as.hold_ended.name) == NULL)
        return damage(record, "ends a hold that is not there", err);
    return WF_OK;
}

enum wf_status ledger_reserve(struct state *state, const struct record *record,
                              const struct event *event, struct wf_error *err) {
    if (state->without_accounts)
        return WF_OK;
    switch ((unsigned)event->kind) {
    case EVENT_ACCOUNT_OPENED:
        return reserve_opened(state, record, event, err);
    case EVENT_OPERATION_POSTED:
        return reserve_posted(state, record, event, err);
    case EVENT_ACCOUNT_STATUS_SET:
        if (account_at(state, event->as.account_status_set.account) == NULL ||
            account_status_name(event->as.account_status_set.status) == NULL)
            return damage(record, "sets the status of an account that is not there", err);
        return WF_OK;
    case EVENT_HOLD_PLACED:
        return reserve_hold(state, record, event, err);
    case EVENT_HOLD_ENDED:
        return reserve_hold_end(state, record, event, err);
    case EVENT_REFERENCE_SET:
        return reference_reserve(state, record, event, err);
    case EVENT_TRANSACTION_REVERSED:
        return reversal_reserve(state, record, event, err);
    }
    return WF_OK;
}

enum wf_status ledger_reserve_end(const struct state *state, const struct record *record,
                                  struct wf_error *err) {
    for (size_t i = 0; i < state->reserved.account_count; i++) {
        const struct account *account = state->reserved.accounts[i];
        if (account == NULL)
            return damage(record, "touches an account that is not there", err);
        /* What a repair lost is missing from the sum, and not from the promise. */
        if (state->reserved.balances[i] != record->touches[i].balance && !state->after_loss) {
            char sum[MONEY_TEXT_SIZE], promised[MONEY_TEXT_SIZE];
            return error_set(
                err, WF_DAMAGE, "record %" PRIu64 " leaves %s %s on account %s, and says %s",
                record->lsn, money_print(sum, state->reserved.balances[i], account->currency),
                account->currency->code, account->number,
                money_print(promised, record->touches[i].balance, account->currency));
        }
    }
    return WF_OK;
}

/* --- applying --- */

void ledger_apply_begin(struct state *state, const struct record *record) {
    bool refused = record->event_count == 1 && record->events[0].kind == EVENT_COMMAND_REFUSED;
    for (size_t i = 0; i < state->reserved.account_count; i++) {
        struct account *account = state->reserved.accounts[i];
        if (state->reserved.ignored && (account == NULL || is_new(account)))
            continue;
        if (is_new(account)) {
            table_insert(&state->accounts, account);
            state_adopt(state, &account->entity);
            account->opened_lsn = record->lsn;
            state->store.accounts += !account_is_internal(account);
        }
        state_touch(state, &account->entity, record->lsn);
        account->history = (struct record_link){record->lsn, record->offset};
        if (refused || state->reserved.ignored)
            continue;
        account->version++;
        account->lsn = record->lsn;
        account->changed_ms = record->time_ms;
    }
}

static void copy_text(char *to, struct bytes_view text) {
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

static void place_hold(struct state *state, const struct record *record,
                       const struct event *event) {
    struct account *account = state->reserved.accounts[event->as.hold_placed.account];
    struct account_hold *hold = &account->holds[account->hold_count++];
    hold->ended = false;
    hold->amount = event->as.hold_placed.amount;
    hold->expires_ms = event->as.hold_placed.expires_ms;
    hold->lsn = record->lsn;
    copy_text(hold->name, event->as.hold_placed.name);
    copy_text(hold->to, event->as.hold_placed.to);
}

/* Names of holds may stand in the account itself, those of later events too: none moves before the
 * record is done. */
static void end_hold(struct state *state, const struct event *event) {
    struct account *account = state->reserved.accounts[event->as.hold_ended.account];
    struct account_hold *hold = account_find_hold(account, event->as.hold_ended.name);
    if (hold != NULL) /* a hostile record ends it twice */
        hold->ended = true;
}

static void settle_holds(struct state *state, struct account *account) {
    account_drop_ended_holds(account);
    if (!account_is_internal(account))
        timers_follow_account(&state->holds, account);
}

void ledger_apply_end(struct state *state) {
    for (size_t i = 0; i < state->reserved.account_count; i++)
        if (state->reserved.accounts[i] != NULL && state->reserved.accounts[i]->hold_count > 0)
            settle_holds(state, state->reserved.accounts[i]);
}

void ledger_apply(struct state *state, const struct record *record, const struct event *event) {
    struct account **accounts = state->reserved.accounts;
    if (state->without_accounts)
        return;
    switch ((unsigned)event->kind) {
    case EVENT_OPERATION_POSTED:
        for (size_t i = 0; i < event->as.operation_posted.posting_count; i++) {
            const struct posting *posting = &event->as.operation_posted.postings[i];
            accounts[posting->account]->balance += posting->amount;
        }
        return;
    case EVENT_ACCOUNT_STATUS_SET:
        accounts[event->as.account_status_set.account]->status =
            event->as.account_status_set.status;
        return;
    case EVENT_HOLD_PLACED:
        place_hold(state, record, event);
        return;
    case EVENT_HOLD_ENDED:
        end_hold(state, event);
        return;
    case EVENT_REFERENCE_SET:
        reference_apply(state, record);
        return;
    case EVENT_TRANSACTION_REVERSED:
        reversal_apply(state, record);
        return;
    case EVENT_ACCOUNT_OPENED: /* ledger_apply_begin() did it */
        return;
    }
}
