/* Accounts as the host sees them: one, all, a statement added up from the log, the history. */
#include "engine/core/reference.h"
#include "engine/core/text.h"
#include "engine/engine.h"
#include "engine/event_out.h"
#include "engine/listing.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one account --- */

/* An account and all its texts in one block. */
struct account_copy {
    struct wf_account account; /* first: it is what the host frees */
    char currency[4];
    char balance[MONEY_TEXT_SIZE], held[MONEY_TEXT_SIZE], available[MONEY_TEXT_SIZE],
        minimum[MONEY_TEXT_SIZE];
    char number[WF_ACCOUNT_MAX + 1], type[ACCOUNT_TYPE_MAX + 1];
    struct wf_hold holds[ACCOUNT_HOLDS_MAX];
    struct hold_texts {
        char name[HOLD_NAME_MAX + 1], to[ACCOUNT_NUMBER_MAX + 1], amount[MONEY_TEXT_SIZE];
    } texts[];
};

static void copy_holds(struct account_copy *copy, const struct account *account, int64_t now_ms) {
    size_t count = 0;
    for (size_t i = 0; i < account->hold_count && count < ACCOUNT_HOLDS_MAX; i++) {
        const struct account_hold *hold = &account->holds[i];
        if (account_hold_is_expired(hold, now_ms)) {
            continue;
        }
        struct hold_texts *texts = &copy->texts[count];
        memcpy(texts->name, hold->name, sizeof(texts->name));
        memcpy(texts->to, hold->to, sizeof(texts->to));
        copy->holds[count++] =
            (struct wf_hold){.name = texts->name,
                             .to = texts->to,
                             .amount = money_print(texts->amount, hold->amount, account->currency),
                             .expires_ms = hold->expires_ms};
    }
    copy->account.holds = copy->holds;
    copy->account.hold_count = count;
}

static enum wf_status copy_account(const struct account *account, int64_t now_ms,
                                   struct account_copy **out, struct wf_error *err) {
    size_t texts = account->hold_count * sizeof((*out)->texts[0]);
    struct account_copy *copy = calloc(1, sizeof(*copy) + texts);
    *out = copy;
    if (copy == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for an account");
    }
    const struct currency *currency = account->currency;
    memcpy(copy->currency, currency->code, sizeof(copy->currency));
    memcpy(copy->number, account->number, account->number_size);
    memcpy(copy->type, account->type, sizeof(copy->type));
    int64_t available = account_available(account, now_ms);
    bool limited = account->minimum != ACCOUNT_NO_MINIMUM;
    copy->account = (struct wf_account){
        .number = copy->number,
        .type = copy->type,
        .currency = copy->currency,
        .status = account_status_name(account->status),
        .balance = money_print(copy->balance, account->balance, currency),
        .held = money_print(copy->held, account_held(account, now_ms), currency),
        .available = limited ? money_print(copy->available, available, currency) : NULL,
        .minimum = limited ? money_print(copy->minimum, account->minimum, currency) : NULL,
        .internal = account_is_internal(account),
        .version = account->version,
        .opened_lsn = account->opened_lsn,
        .lsn = account->lsn,
        .opened_ms = account->opened_ms,
        .changed_ms = account->changed_ms,
    };
    copy_holds(copy, account, now_ms);
    return WF_OK;
}

enum wf_status engine_copy_account(const struct account *account, int64_t now_ms,
                                   struct wf_account **out, struct wf_error *err) {
    struct account_copy *copy = NULL;
    enum wf_status status = copy_account(account, now_ms, &copy, err);
    *out = copy == NULL ? NULL : &copy->account;
    return status;
}

static enum wf_status get_account(struct wf_engine *engine, struct bytes_view number,
                                  struct account_copy **out, struct wf_error *err) {
    struct account *account = NULL;
    struct wal_ticket ticket = {0};
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_find_account(engine, number, &account, err);
    if (status == WF_OK) {
        status = account == NULL ? engine_account_not_found(err, number)
                                 : copy_account(account, engine_record_time_ms(engine), out, err);
    }
    if (status == WF_OK && account != NULL) {
        ticket = (struct wal_ticket){account->history.lsn, account->history.offset, engine->cuts};
        cache_trim(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

enum wf_status wf_account_get(struct wf_engine *engine, const char *number, struct wf_account **out,
                              struct wf_error *err) {
    enum wf_status status;
    unsigned attempts = 0;
    struct account_copy *copy = NULL;
    do {
        free(copy);
        copy = NULL;
        status = get_account(engine, text_view(number), &copy, err);
    } while (engine_ask_again(status, &attempts));
    if (status != WF_OK) {
        free(copy);
        copy = NULL;
    }
    *out = copy == NULL ? NULL : &copy->account;
    return status;
}

void wf_account_free(struct wf_account *account) {
    free(account);
}

/* --- all accounts --- */

struct account_listing {
    struct wf_engine *engine;
    wf_account_fn on_account;
    void *ctx;
};

static enum wf_status show(void *ctx, const char *number, bool *stopped, struct wf_error *err) {
    const struct account_listing *listing = ctx;
    struct wf_account *account = NULL;
    enum wf_status status = wf_account_get(listing->engine, number, &account, err);
    if (status == WF_NOT_FOUND) {
        return WF_OK; /* cut off by a full disk meanwhile */
    }
    if (status == WF_OK) {
        *stopped = !listing->on_account(listing->ctx, account);
        wf_account_free(account);
    }
    return status;
}

static int compare_numbers(const void *left, const void *right) {
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* The numbers of the bank's own accounts, sorted; the caller frees them and the list. */
static enum wf_status internal_numbers(struct wf_engine *engine, char ***out, size_t *count,
                                       struct wf_error *err) {
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    const struct table *table = &engine->state.accounts;
    char **numbers = calloc(table_count(table) + 1, sizeof(char *));
    bool ok = numbers != NULL;
    size_t at = 0;
    const struct account *account;
    *count = 0;
    while (ok && (account = table_next(table, &at)) != NULL) {
        if (account_is_internal(account)) {
            numbers[*count] = strdup(account->number);
            ok = numbers[(*count)++] != NULL;
        }
    }
    pthread_mutex_unlock(&engine->mutex);
    *out = numbers;
    if (status == WF_OK && !ok) {
        status = error_set(err, WF_NO_MEMORY, "no memory for a list");
    }
    if (status == WF_OK) {
        qsort(numbers, *count, sizeof(char *), compare_numbers);
    }
    return status;
}

enum wf_status wf_account_list(struct wf_engine *engine, bool with_internal,
                               wf_account_fn on_account, void *ctx, struct wf_error *err) {
    struct account_listing listing = {.engine = engine, .on_account = on_account, .ctx = ctx};
    enum wf_status status = listing_walk(engine, LISTING_ACCOUNTS, NULL, show, &listing, err);
    if (status != WF_OK || !with_internal) {
        return status;
    }
    char **numbers = NULL;
    size_t count = 0;
    bool stopped = false;
    status = internal_numbers(engine, &numbers, &count, err);
    for (size_t i = 0; i < count; i++) {
        if (status == WF_OK && !stopped) {
            status = show(&listing, numbers[i], &stopped, err);
        }
        free(numbers[i]);
    }
    free(numbers);
    return status;
}

/* --- the past --- */

static enum wf_status find_newest_link(struct wf_engine *engine, struct bytes_view number,
                                       struct record_link *link, const struct currency **currency,
                                       struct wf_error *err) {
    struct account *account = NULL;
    struct wal_ticket ticket = {0};
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_find_account(engine, number, &account, err);
    if (status == WF_OK && account == NULL) {
        status = engine_account_not_found(err, number);
    }
    if (status == WF_OK && account != NULL) {
        *link = account->history;
        *currency = account->currency;
        ticket = (struct wal_ticket){link->lsn, link->offset, engine->cuts};
        cache_trim(engine);
    }
    pthread_mutex_unlock(&engine->mutex);
    return status == WF_OK ? engine_wait_durable(engine, &ticket, err) : status;
}

/* The links of the account's records up to `last_lsn`, oldest first; the caller frees them. */
static enum wf_status account_links(struct wf_engine *engine, struct bytes_view number,
                                    uint64_t last_lsn, const struct currency **currency,
                                    struct record_link **links, size_t *count, uint64_t *lost_lsn,
                                    struct wf_error *err) {
    struct record_link newest = {0};
    enum wf_status status;
    unsigned attempts = 0;
    *links = NULL;
    *count = 0;
    do {
        status = find_newest_link(engine, number, &newest, currency, err);
    } while (engine_ask_again(status, &attempts));
    if (status != WF_OK) {
        return status;
    }
    return engine_collect_links(engine, number, newest, last_lsn, links, count, lost_lsn, err);
}

/* What a statement has added up so far, and where it tells its lines. */
struct statement {
    struct bytes_view number;
    const struct currency *currency;
    int64_t balance;
    int64_t passed_over; /* what records without effect would have put on it */
    wf_statement_fn on_line;
    void *ctx;
    bool stopped;
};

static uint32_t touch_index(const struct record *record, struct bytes_view number) {
    uint32_t index = 0;
    while (index < record->touch_count && !text_same(record->touches[index].name, number)) {
        index++;
    }
    return index;
}

/* The first account that gets what this one gives, or the other way round. */
static const char *other_side(const struct record *record, const struct event *event,
                              const struct posting *posting, char text[WF_ACCOUNT_MAX + 1]) {
    for (size_t i = 0; i < event->as.operation_posted.posting_count; i++) {
        const struct posting *other = &event->as.operation_posted.postings[i];
        bool opposite = (other->amount < 0) != (posting->amount < 0);
        if (opposite && other->account < record->touch_count &&
            record->touches[other->account].kind == ENTITY_ACCOUNT) {
            (void)snprintf(text, WF_ACCOUNT_MAX + 1, "%.*s",
                           TEXT_ARGS(record->touches[other->account].name));
            return text;
        }
    }
    for (size_t i = 0; i < event->as.operation_posted.posting_count; i++) {
        const struct posting *other = &event->as.operation_posted.postings[i];
        if (other->account != posting->account && other->account < record->touch_count) {
            (void)snprintf(text, WF_ACCOUNT_MAX + 1, "%.*s",
                           TEXT_ARGS(record->touches[other->account].name));
            return text;
        }
    }
    return NULL;
}

static void tell_line(struct statement *statement, const struct record *record,
                      const struct event *event, const struct posting *posting, bool ineffective) {
    char amount[MONEY_TEXT_SIZE];
    char balance[MONEY_TEXT_SIZE];
    char other[WF_ACCOUNT_MAX + 1];
    char actor[COMMAND_ID_MAX + 1];
    (void)snprintf(actor, sizeof(actor), "%.*s", TEXT_ARGS(record->actor));
    const struct wf_statement_line line = {
        .lsn = record->lsn,
        .time_ms = record->time_ms,
        .operation = operation_kind_name(event->as.operation_posted.operation),
        .amount = money_print(amount, posting->amount, statement->currency),
        .balance = money_print(balance, statement->balance, statement->currency),
        .other = other_side(record, event, posting, other),
        .actor = record->actor.size > 0 ? actor : NULL,
        .without_effect = ineffective,
    };
    if (statement->on_line != NULL && !statement->stopped) {
        statement->stopped = !statement->on_line(statement->ctx, &line);
    }
}

/* What the record says that it came to. It was written before the repair where that left some
 * before it without effect: then they are in it. */
static bool is_promised(const struct statement *statement, const struct record_touch *touch) {
    int64_t with;
    return touch->balance == statement->balance ||
           (!__builtin_add_overflow(statement->balance, statement->passed_over, &with) &&
            touch->balance == with);
}

static enum wf_status add_record(struct statement *statement, const struct record *record,
                                 bool ineffective, struct wf_error *err) {
    int64_t *sum = ineffective ? &statement->passed_over : &statement->balance;
    uint32_t index = touch_index(record, statement->number);
    for (size_t i = 0; i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind != EVENT_OPERATION_POSTED) {
            continue;
        }
        for (size_t j = 0; j < event->as.operation_posted.posting_count; j++) {
            const struct posting *posting = &event->as.operation_posted.postings[j];
            if (posting->account != index) {
                continue;
            }
            if (__builtin_add_overflow(*sum, posting->amount, sum)) {
                return error_set(err, WF_DAMAGE, "LSN %" PRIu64 " takes a balance out of 64 bits",
                                 record->lsn);
            }
            tell_line(statement, record, event, posting, ineffective);
        }
    }
    if (index < record->touch_count && !is_promised(statement, &record->touches[index])) {
        return error_set(err, WF_DAMAGE,
                         "LSN %" PRIu64 ": the postings come to another balance than it says",
                         record->lsn);
    }
    return WF_OK;
}

enum wf_status wf_account_statement(struct wf_engine *engine, const char *number, uint64_t last_lsn,
                                    wf_statement_fn on_line, void *ctx, char balance[32],
                                    struct wf_error *err) {
    struct statement statement = {.number = text_view(number), .on_line = on_line, .ctx = ctx};
    struct record_link *links = NULL;
    size_t count = 0;
    uint64_t lost_lsn = 0;
    enum wf_status status = engine_check_reached(engine, last_lsn, err);
    if (status == WF_OK) {
        status = account_links(engine, statement.number, last_lsn, &statement.currency, &links,
                               &count, &lost_lsn, err);
    }
    if (status == WF_OK && lost_lsn != 0) {
        char what[ACCOUNT_NUMBER_MAX + 64];
        (void)snprintf(what, sizeof(what), "the past of account \"%s\" cannot be added up", number);
        status = engine_missing(engine, lost_lsn, what, err);
    }
    if (status == WF_OK && count == 0) {
        status = error_set(err, WF_NOT_FOUND, "account \"%s\" was not there yet at LSN %" PRIu64,
                           number, last_lsn);
    }
    struct record_reader reader;
    record_reader_init(&reader, engine);
    for (size_t i = 0; status == WF_OK && i < count; i++) {
        status = record_reader_read(&reader, links[i], err);
        bool ineffective = false;
        if (status == WF_OK) {
            status = engine_is_ineffective(engine, links[i].lsn, &ineffective, err);
        }
        if (status == WF_OK) {
            status = add_record(&statement, &reader.record, ineffective, err);
        }
    }
    record_reader_deinit(&reader);
    free(links);
    if (status == WF_OK && balance != NULL) {
        (void)money_print(balance, statement.balance, statement.currency);
    }
    return status;
}

enum wf_status wf_account_history(struct wf_engine *engine, const char *number,
                                  wf_event_fn on_event, void *ctx, struct wf_error *err) {
    const struct currency *currency = NULL;
    struct record_link *links = NULL;
    size_t count = 0;
    uint64_t lost_lsn = 0;
    enum wf_status status = account_links(engine, text_view(number), UINT64_MAX, &currency, &links,
                                          &count, &lost_lsn, err);
    struct record_reader reader;
    record_reader_init(&reader, engine);
    bool more =
        status != WF_OK || lost_lsn == 0 || engine_tell_missing(engine, lost_lsn, on_event, ctx);
    for (size_t i = 0; status == WF_OK && more && i < count; i++) {
        status = record_reader_read(&reader, links[i], err);
        bool ineffective = false;
        if (status == WF_OK) {
            status = engine_is_ineffective(engine, links[i].lsn, &ineffective, err);
        }
        if (status == WF_OK) {
            status = event_out_record(&reader.arena, &reader.record, NULL, ineffective, on_event,
                                      ctx, &more, err);
        }
    }
    record_reader_deinit(&reader);
    free(links);
    return status;
}

/* --- reference data --- */

static int compare_references(const void *left, const void *right) {
    const struct reference *a = *(const struct reference *const *)left;
    const struct reference *b = *(const struct reference *const *)right;
    size_t size = a->key_size < b->key_size ? a->key_size : b->key_size;
    int order = memcmp(a->key, b->key, size);
    return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

/* Copies: what is in the state may be replaced once the mutex is given up. */
static enum wf_status copy_references(struct wf_engine *engine, const char *kind,
                                      struct reference ***out, size_t *count,
                                      struct wf_error *err) {
    const struct table *table = &engine->state.references;
    struct reference **all = calloc(table_count(table) + 1, sizeof(struct reference *));
    *out = all;
    *count = 0;
    if (all == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a list");
    }
    size_t at = 0;
    const struct reference *reference;
    enum wf_status status = WF_OK;
    while (status == WF_OK && (reference = table_next(table, &at)) != NULL) {
        if (kind != NULL && strcmp(kind, reference_kind_name(reference->kind)) != 0) {
            continue;
        }
        status = reference_create(reference->kind, reference->name, reference->fields,
                                  reference->field_count, reference->set_ms, &all[*count], err);
        if (status == WF_OK) {
            all[(*count)++]->lsn = reference->lsn;
        }
    }
    return status;
}

/* A name and its fields, terminated: packed ones are already. */
static bool tell_reference(const struct reference *reference, wf_reference_fn on_reference,
                           void *ctx) {
    struct wf_field fields[REFERENCE_FIELDS_MAX];
    for (size_t i = 0; i < reference->field_count; i++) {
        fields[i] = (struct wf_field){(const char *)reference->fields[i].name.data,
                                      (const char *)reference->fields[i].value.data};
    }
    char name[REFERENCE_NAME_MAX + 1];
    (void)snprintf(name, sizeof(name), "%.*s", TEXT_ARGS(reference->name));
    const struct wf_reference out = {.kind = reference_kind_name(reference->kind),
                                     .name = name,
                                     .lsn = reference->lsn,
                                     .set_ms = reference->set_ms,
                                     .fields = fields,
                                     .field_count = reference->field_count};
    return on_reference(ctx, &out);
}

enum wf_status wf_reference_list(struct wf_engine *engine, const char *kind,
                                 wf_reference_fn on_reference, void *ctx, struct wf_error *err) {
    struct reference **all = NULL;
    size_t count = 0;
    pthread_mutex_lock(&engine->mutex);
    enum wf_status status = engine_ensure_state(engine, err);
    if (status == WF_OK) {
        status = copy_references(engine, kind, &all, &count, err);
    }
    struct wal_ticket ticket = engine_last_ticket(engine);
    pthread_mutex_unlock(&engine->mutex);
    if (status == WF_OK) {
        status = engine_wait_durable(engine, &ticket, err);
    }
    if (status == WF_OK) {
        qsort(all, count, sizeof(struct reference *), compare_references);
    }
    for (size_t i = 0; status == WF_OK && i < count; i++) {
        if (!tell_reference(all[i], on_reference, ctx)) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        reference_destroy(all[i]);
    }
    free(all);
    return status;
}
