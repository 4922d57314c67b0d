/* All postings of the log added up from the first record, and compared with the accounts that are
 * kept, each reversal with what it reverses, and each stage that is undone with what it moved.
 * Shares nothing with apply(): it reads postings, and what each record says it came to. */
#include "engine/account_check.h"
#include "engine/core/ledger.h"
#include "engine/core/text.h"
#include "engine/name_list.h"
#include "engine/origin.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef __int128 wide;

/* An account as the postings have it. */
struct total {
    int64_t balance;
    const struct currency *currency;
    enum entity_kind kind;
    uint64_t lsn; /* of its last record */
    size_t number_size;
    char number[ACCOUNT_NUMBER_MAX + 1];
};

/* A transaction, or a stage's money, that was reversed. */
struct reversed {
    uint64_t lsn;
};

struct check_walk {
    struct table totals;   /* struct total by number */
    struct table reversed; /* struct reversed by LSN */
    struct table stages;   /* what is bound to stages: account_check_stage.c */
    struct codec_arena arena;
    struct record_reader reader; /* of what was reversed */
    struct account_losses losses;
    bool any_ineffective; /* a repair left records without effect */
    struct wf_account_report *report;
    wf_account_note_fn on_note; /* NULL: nobody listens, or any more */
    void *ctx;
};

static void tell(struct check_walk *walk, uint64_t lsn, const char *accounts, const char *text) {
    const struct wf_account_note note = {.lsn = lsn, .accounts = accounts, .text = text};
    walk->report->notes++;
    if (walk->on_note != NULL && !walk->on_note(walk->ctx, &note)) {
        walk->on_note = NULL;
    }
}

static struct table_key total_key(const void *entry) {
    const struct total *total = entry;
    return (struct table_key){total->number, total->number_size};
}

static struct table_key reversed_key(const void *entry) {
    const struct reversed *reversed = entry;
    return (struct table_key){&reversed->lsn, sizeof(reversed->lsn)};
}

static enum wf_status differs(struct wf_error *err, uint64_t lsn, const char *what) {
    return error_set(err, WF_DIVERGENCE, "first difference at LSN %" PRIu64 ": %s", lsn, what);
}

static struct total *find(const struct check_walk *walk, const struct record *record,
                          uint32_t account) {
    if (account >= record->touch_count) {
        return NULL;
    }
    struct bytes_view number = record->touches[account].name;
    return table_find(&walk->totals, number.data, number.size);
}

static enum wf_status add_total(struct check_walk *walk, const struct record *record,
                                const struct record_touch *touch, struct bytes_view currency,
                                struct wf_error *err) {
    struct total *total = calloc(1, sizeof(*total));
    if (total == NULL || !table_reserve(&walk->totals)) {
        free(total);
        return error_set(err, WF_NO_MEMORY, "no memory to check accounts");
    }
    total->currency = currency_find(currency);
    total->kind = touch->kind;
    total->number_size = touch->name.size;
    memcpy(total->number, touch->name.data, touch->name.size);
    table_insert(&walk->totals, total);
    walk->report->accounts++;
    return total->currency != NULL ? WF_OK
                                   : differs(err, record->lsn, "an account's currency is unknown");
}

/* Behind a repair, one of the bank's own may be opened by any record that needs it. */
static bool opens_itself(const struct check_walk *walk, const struct record_touch *touch) {
    return walk->report->lost > 0 && touch->kind == ENTITY_INTERNAL_ACCOUNT;
}

static enum wf_status add_account(struct check_walk *walk, const struct record *record,
                                  const struct event *event, struct wf_error *err) {
    uint32_t index = event->as.account_opened.account;
    if (index >= record->touch_count) {
        return differs(err, record->lsn, "it opens an account that it does not name");
    }
    const struct record_touch *touch = &record->touches[index];
    if (find(walk, record, index) == NULL) {
        return add_total(walk, record, touch, event->as.account_opened.currency, err);
    }
    return opens_itself(walk, touch) ? WF_OK
                                     : differs(err, record->lsn, "an account is opened twice");
}

static enum wf_status add_opened_by_themselves(struct check_walk *walk, const struct record *record,
                                               struct wf_error *err) {
    enum wf_status status = WF_OK;
    for (uint32_t i = 0; i < record->touch_count && status == WF_OK; i++) {
        const struct record_touch *touch = &record->touches[i];
        if (opens_itself(walk, touch) && find(walk, record, i) == NULL) {
            status = add_total(walk, record, touch, touch->currency, err);
        }
    }
    return status;
}

/* The sum of an operation's postings in the currency of its posting `first`. */
static wide sum_like(const struct check_walk *walk, const struct record *record,
                     const struct event *event, size_t first) {
    const struct posting *postings = event->as.operation_posted.postings;
    const struct currency *currency = find(walk, record, postings[first].account)->currency;
    wide sum = 0;
    for (size_t i = 0; i < event->as.operation_posted.posting_count; i++) {
        if (find(walk, record, postings[i].account)->currency == currency) {
            sum += postings[i].amount;
        }
    }
    return sum;
}

static enum wf_status add_postings(struct check_walk *walk, const struct record *record,
                                   const struct event *event, struct wf_error *err) {
    size_t count = event->as.operation_posted.posting_count;
    const struct posting *postings = event->as.operation_posted.postings;
    for (size_t i = 0; i < count; i++) {
        struct total *total = find(walk, record, postings[i].account);
        if (total == NULL) {
            return differs(err, record->lsn, "it posts to an account that was never opened");
        }
        if (__builtin_add_overflow(total->balance, postings[i].amount, &total->balance)) {
            return differs(err, record->lsn, "a balance leaves 64 bits");
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (sum_like(walk, record, event, i) != 0) {
            return differs(err, record->lsn, "its postings do not sum to zero");
        }
    }
    walk->report->postings += count;
    return WF_OK;
}

/* What goes back was never given, as far as the accounts know: no difference, and no good. */
static void tell_reversal(struct check_walk *walk, const struct record *record, uint64_t lsn,
                          bool lost) {
    char accounts[256] = "";
    char text[512];
    for (size_t i = 0; i < record->touch_count; i++) {
        if (record->touches[i].kind == ENTITY_ACCOUNT) {
            name_list_add(accounts, sizeof(accounts), record->touches[i].name);
        }
    }
    (void)snprintf(text, sizeof(text),
                   "record %" PRIu64 " reverses record %" PRIu64
                   ", which %s: it takes back what is not in force, from and to %s",
                   record->lsn, lsn, lost ? "was lost in a repair" : "a repair left without effect",
                   accounts);
    tell(walk, record->lsn, accounts, text);
}

static enum wf_status add_reversal(struct check_walk *walk, const struct record *record,
                                   uint64_t lsn, struct wf_error *err) {
    if (lsn >= record->lsn || table_find(&walk->reversed, &lsn, sizeof(lsn)) != NULL) {
        return differs(err, record->lsn,
                       "it reverses a transaction that is none, or a second time");
    }
    struct reversed *reversed = calloc(1, sizeof(*reversed));
    if (reversed == NULL || !table_reserve(&walk->reversed)) {
        free(reversed);
        return error_set(err, WF_NO_MEMORY, "no memory to check accounts");
    }
    reversed->lsn = lsn;
    table_insert(&walk->reversed, reversed);
    bool lost = account_losses_have(&walk->losses, lsn);
    bool ineffective = false;
    enum wf_status status =
        lost || !walk->any_ineffective
            ? WF_OK
            : engine_is_ineffective(walk->reader.engine, lsn, &ineffective, err);
    if (status != WF_OK) {
        return status;
    }
    if (lost || ineffective) {
        tell_reversal(walk, record, lsn, lost);
        return WF_OK;
    }
    return account_check_reversal(&walk->reader, record, lsn, err);
}

/* A transaction's says so with an event of its own, a stage's only in its postings. */
static enum wf_status add_reversals(struct check_walk *walk, const struct record *record,
                                    struct wf_error *err) {
    enum wf_status status = WF_OK;
    bool of_transaction = false;
    for (size_t i = 0; i < record->event_count && status == WF_OK; i++) {
        if (record->events[i].kind == EVENT_TRANSACTION_REVERSED) {
            of_transaction = true;
            status = add_reversal(walk, record, record->events[i].as.transaction_reversed.lsn, err);
        }
    }
    size_t at = 0;
    for (uint64_t lsn; status == WF_OK && !of_transaction &&
                       (lsn = account_check_next_reversed(record, &at)) != 0;) {
        status = add_reversal(walk, record, lsn, err);
    }
    return status;
}

/* What the record says that the accounts came to. */
static enum wf_status compare_touches(struct check_walk *walk, const struct record *record,
                                      struct wf_error *err) {
    for (uint32_t i = 0; i < record->touch_count; i++) {
        struct total *total = find(walk, record, i);
        if (total == NULL) {
            return differs(err, record->lsn, "it is about an account that was never opened");
        }
        total->lsn = record->lsn;
        if (total->balance == record->touches[i].balance || walk->losses.untold > 0) {
            continue;
        }
        char added[MONEY_TEXT_SIZE];
        char said[MONEY_TEXT_SIZE];
        return error_set(err, WF_DIVERGENCE,
                         "first difference at LSN %" PRIu64
                         ": account %s: the postings come to %s %s, the record says %s",
                         record->lsn, total->number,
                         money_print(added, total->balance, total->currency), total->currency->code,
                         money_print(said, record->touches[i].balance, total->currency));
    }
    return WF_OK;
}

static enum wf_status add_record(struct check_walk *walk, const struct record *record,
                                 struct wf_error *err) {
    enum wf_status status = add_opened_by_themselves(walk, record, err);
    for (size_t i = 0; i < record->event_count && status == WF_OK; i++) {
        const struct event *event = &record->events[i];
        if (event->kind == EVENT_ACCOUNT_OPENED) {
            status = add_account(walk, record, event, err);
        } else if (event->kind == EVENT_OPERATION_POSTED) {
            status = add_postings(walk, record, event, err);
        }
    }
    if (status == WF_OK) {
        status = compare_touches(walk, record, err);
    }
    if (status == WF_OK) {
        status = add_reversals(walk, record, err);
    }
    return status == WF_OK ? account_check_stages(&walk->stages, &walk->reader, record, err)
                           : status;
}

/* Nothing of it is in force; its accounts link to it all the same. */
static void pass_over(struct check_walk *walk, const struct record *record) {
    for (uint32_t i = 0; i < record->touch_count; i++) {
        struct total *total = find(walk, record, i);
        if (total != NULL) {
            total->lsn = record->lsn;
        }
    }
    walk->report->without_effect++;
}

static enum wf_status take_record(struct check_walk *walk, const struct record *record,
                                  struct wf_error *err) {
    bool ineffective = false;
    enum wf_status status =
        walk->any_ineffective
            ? engine_is_ineffective(walk->reader.engine, record->lsn, &ineffective, err)
            : WF_OK;
    if (status != WF_OK) {
        return status;
    }
    if (ineffective) {
        pass_over(walk, record);
        return WF_OK;
    }
    account_losses_see(&walk->losses, record);
    return add_record(walk, record, err);
}

static enum wf_status check_record(void *ctx, const struct wal_record *wal_record,
                                   struct wf_error *err) {
    struct check_walk *walk = ctx;
    if (wal_record->lost) {
        walk->report->lost++;
        walk->report->last_lsn = wal_record->lsn;
        return account_losses_add(&walk->losses, wal_record->lsn, err);
    }
    struct record record;
    enum wf_status status = codec_decode_logged(&walk->arena, wal_record, &record, err);
    if (status != WF_OK) {
        return status;
    }
    status = take_record(walk, &record, err);
    codec_release(&record);
    walk->report->records++;
    walk->report->last_lsn = wal_record->lsn;
    return status;
}

enum { NOTE_MAX = 320 };

/* Where a repair took records, an account may be what no account should be. */
static void note_account(const struct account *account, char note[NOTE_MAX]) {
    char balance[MONEY_TEXT_SIZE];
    const char *wrong = ledger_wrong_with(account);
    if (wrong != NULL) {
        (void)snprintf(note, NOTE_MAX, "account %s, at %s %s: %s", account->number,
                       money_print(balance, account->balance, account->currency),
                       account->currency->code, wrong);
    }
}

/* The account that is kept, once the log knows of it. The mutex is held. `note`: "", or what is to
 * be told of it. */
static enum wf_status compare_kept(struct wf_engine *engine, const struct total *total,
                                   char note[NOTE_MAX], struct wf_error *err) {
    struct bytes_view number = {(const uint8_t *)total->number, total->number_size};
    struct account *account = NULL;
    enum wf_status status = engine_find_account(engine, number, &account, err);
    if (status != WF_OK) {
        return status;
    }
    char added[MONEY_TEXT_SIZE];
    char kept[MONEY_TEXT_SIZE];
    (void)money_print(added, total->balance, total->currency);
    if (account == NULL) {
        return error_set(err, WF_DIVERGENCE,
                         "first difference: account %s: the postings come to %s %s, and it is not "
                         "kept",
                         total->number, added, total->currency->code);
    }
    note_account(account, note);
    /* Later records are not added up yet. */
    if (account->history.lsn > total->lsn || account->balance == total->balance) {
        return WF_OK;
    }
    return error_set(err, WF_DIVERGENCE,
                     "first difference: account %s: the postings up to LSN %" PRIu64
                     " come to %s %s, and %s is kept",
                     total->number, total->lsn, added, total->currency->code,
                     money_print(kept, account->balance, account->currency));
}

static int compare_totals(const void *left, const void *right) {
    const struct total *a = *(const struct total *const *)left;
    const struct total *b = *(const struct total *const *)right;
    return strcmp(a->number, b->number);
}

/* In order of number, so that the first difference is the same each time. */
static enum wf_status compare_all(struct wf_engine *engine, struct check_walk *walk,
                                  struct wf_error *err) {
    size_t count = 0;
    const struct total **all = malloc((table_count(&walk->totals) + 1) * sizeof(struct total *));
    if (all == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to check accounts");
    }
    size_t at = 0;
    for (const struct total *total; (total = table_next(&walk->totals, &at)) != NULL;) {
        all[count++] = total;
    }
    qsort(all, count, sizeof(struct total *), compare_totals);
    enum wf_status status = WF_OK;
    for (size_t i = 0; i < count && status == WF_OK; i++) {
        char note[NOTE_MAX] = "";
        pthread_mutex_lock(&engine->mutex);
        status = compare_kept(engine, all[i], note, err);
        cache_trim(engine);
        pthread_mutex_unlock(&engine->mutex);
        if (status == WF_OK && note[0] != '\0') {
            tell(walk, all[i]->lsn, all[i]->number, note);
        }
    }
    free(all);
    return status;
}

/* Nothing may be kept that no posting led to. */
static enum wf_status compare_count(struct wf_engine *engine, const struct check_walk *walk,
                                    struct wf_error *err) {
    size_t at = 0;
    uint64_t customers = 0;
    for (const struct total *total; (total = table_next(&walk->totals, &at)) != NULL;) {
        customers += total->kind == ENTITY_ACCOUNT;
    }
    pthread_mutex_lock(&engine->mutex);
    uint64_t kept = engine->state.store.accounts;
    bool behind = engine->last.lsn > walk->report->last_lsn;
    pthread_mutex_unlock(&engine->mutex);
    if (behind || kept == customers) {
        return WF_OK;
    }
    return error_set(err, WF_DIVERGENCE,
                     "first difference: the log opened %" PRIu64 " accounts, and %" PRIu64
                     " are kept",
                     customers, kept);
}

/* What the accounts came to after the last dropped record: it cannot be added up any more. */
static enum wf_status take_totals(struct check_walk *walk, const struct state *state,
                                  struct wf_error *err) {
    size_t at = 0;
    for (const struct account *account; (account = table_next(&state->accounts, &at)) != NULL;) {
        struct total *total = calloc(1, sizeof(*total));
        if (total == NULL || !table_reserve(&walk->totals)) {
            free(total);
            return error_set(err, WF_NO_MEMORY, "no memory to check accounts");
        }
        total->balance = account->balance;
        total->currency = account->currency;
        total->kind = account->entity.kind;
        total->lsn = account->lsn;
        total->number_size = account->number_size;
        memcpy(total->number, account->number, account->number_size);
        table_insert(&walk->totals, total);
        walk->report->accounts++;
    }
    return WF_OK;
}

/* Begin with the first record, or behind those that were dropped. */
static enum wf_status begin(struct wf_engine *engine, struct check_walk *walk,
                            struct wf_error *err) {
    struct state state;
    uint64_t origin = 0;
    enum wf_status status = state_init(&state, err);
    if (status != WF_OK) {
        return status;
    }
    status = origin_load(engine->archive, &state, &origin, err);
    pthread_mutex_lock(&engine->mutex);
    walk->any_ineffective = engine->state.any_ineffective;
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK && wal_first_lsn(engine->wal) > origin + 1) {
        status = engine_missing(engine, origin + 1, "the accounts cannot be checked", err);
    }
    if (status == WF_OK) {
        status = take_totals(walk, &state, err);
    }
    if (status == WF_OK) {
        status = account_check_stages_begin(&walk->stages, &state, err);
    }
    walk->losses.untold = state.store.untold;
    walk->report->last_lsn = origin;
    state_deinit(&state);
    return status;
}

enum wf_status wf_account_check_notes(struct wf_engine *engine, wf_account_note_fn on_note,
                                      void *ctx, struct wf_account_report *report,
                                      struct wf_error *err) {
    struct wf_account_report unwanted;
    struct check_walk walk = {
        .report = report != NULL ? report : &unwanted, .on_note = on_note, .ctx = ctx};
    *walk.report = (struct wf_account_report){0};
    table_init(&walk.totals, total_key);
    table_init(&walk.reversed, reversed_key);
    account_check_stages_init(&walk.stages);
    codec_arena_init(&walk.arena);
    record_reader_init(&walk.reader, engine);
    enum wf_status status = wf_sync(engine, err);
    if (status == WF_OK) {
        status = begin(engine, &walk, err);
    }
    if (status == WF_OK) {
        status =
            wal_walk(engine->wal, walk.report->last_lsn + 1, UINT64_MAX, check_record, &walk, err);
    }
    if (status == WF_OK) {
        status = compare_all(engine, &walk, err);
    }
    if (status == WF_OK) {
        status = compare_count(engine, &walk, err);
    }
    size_t at = 0;
    for (struct total *total; (total = table_next(&walk.totals, &at)) != NULL;) {
        free(total);
    }
    at = 0;
    for (struct reversed *reversed; (reversed = table_next(&walk.reversed, &at)) != NULL;) {
        free(reversed);
    }
    account_losses_deinit(&walk.losses);
    account_check_stages_deinit(&walk.stages);
    table_deinit(&walk.reversed);
    table_deinit(&walk.totals);
    record_reader_deinit(&walk.reader);
    codec_arena_deinit(&walk.arena);
    return status;
}

enum wf_status wf_account_check(struct wf_engine *engine, struct wf_account_report *report,
                                struct wf_error *err) {
    return wf_account_check_notes(engine, NULL, NULL, report, err);
}
