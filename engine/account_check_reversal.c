/* Is what goes back what was given? A reversal's postings beside those of the record that they say
 * they reverse, account by account. */
#include "engine/account_check.h"

#include "engine/core/account.h"
#include "engine/core/stage_money.h"
#include "engine/core/text.h"
#include "engine/record_reader.h"

#include <inttypes.h>
#include <stdlib.h>

static bool is_reversal(const struct event *event) {
    return event->kind == EVENT_OPERATION_POSTED &&
           event->as.operation_posted.operation == OPERATION_REVERSAL;
}

/* The LSN that its postings say they reverse; 0: none; UINT64_MAX: they say what is no LSN. */
static uint64_t reversed_by(const struct event *event) {
    for (size_t i = 0; i < event->as.operation_posted.field_count; i++) {
        const struct field *field = &event->as.operation_posted.fields[i];
        uint64_t lsn;
        if (text_equal(field->name, "reverses")) {
            return text_number(field->value, &lsn) && lsn > 0 ? lsn : UINT64_MAX;
        }
    }
    return 0;
}

/* What the record puts on each of its accounts to reverse that one. */
static void add_up(const struct record *record, uint64_t lsn, int64_t *sums) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (!is_reversal(event) || reversed_by(event) != lsn) {
            continue;
        }
        for (size_t j = 0; j < event->as.operation_posted.posting_count; j++) {
            const struct posting *posting = &event->as.operation_posted.postings[j];
            if (posting->account < record->touch_count) {
                sums[posting->account] =
                    (int64_t)((uint64_t)sums[posting->account] + (uint64_t)posting->amount);
            }
        }
    }
}

static size_t find_touch(const struct record *record, struct bytes_view name) {
    size_t i = 0;
    while (i < record->touch_count && !text_same(record->touches[i].name, name)) {
        i++;
    }
    return i;
}

static enum wf_status differs(const struct record *record, uint64_t lsn, struct bytes_view account,
                              const struct currency *currency, int64_t given, int64_t back,
                              struct wf_error *err) {
    char put[MONEY_TEXT_SIZE];
    char taken[MONEY_TEXT_SIZE];
    return error_set(err, WF_DIVERGENCE,
                     "first difference at LSN %" PRIu64 ": account %.*s: record %" PRIu64
                     " put %s %s on it, and its reversal puts %s",
                     record->lsn, TEXT_ARGS(account), lsn, money_print(put, given, currency),
                     currency->code, money_print(taken, back, currency));
}

/* `sums` is used up: what is left of it went to accounts that the record did not concern. */
static enum wf_status compare_sums(const struct record *record, const struct stage_money *money,
                                   int64_t *sums, struct wf_error *err) {
    struct stage_money_entry entry;
    for (size_t at = 0; stage_money_next(money, &at, &entry);) {
        if (entry.kind == 0) {
            continue; /* a hold: what is left of it is voided, and it may have been posted */
        }
        size_t touch = find_touch(record, entry.account);
        int64_t back = touch < record->touch_count ? sums[touch] : 0;
        if ((uint64_t)back + (uint64_t)entry.amount != 0) {
            return differs(record, money->lsn, entry.account, currency_find(entry.currency),
                           entry.amount, back, err);
        }
        sums[touch] = 0;
    }
    for (size_t i = 0; i < record->touch_count; i++) {
        const struct currency *currency = currency_find(record->touches[i].currency);
        if (sums[i] != 0 && currency != NULL) {
            return differs(record, money->lsn, record->touches[i].name, currency, 0, sums[i], err);
        }
    }
    return WF_OK;
}

enum wf_status account_check_reversal(struct record_reader *reader, const struct record *record,
                                      uint64_t lsn, struct wf_error *err) {
    bool found = false;
    struct stage_money *money = NULL;
    enum wf_status status = record_reader_find(reader, lsn, &found, err);
    if (status != WF_OK || !found) {
        return status; /* dropped, perhaps: there is nothing to compare with */
    }
    int64_t *sums = calloc(record->touch_count + 1, sizeof(*sums));
    status = sums == NULL ? error_set(err, WF_NO_MEMORY, "no memory to check accounts")
                          : stage_money_create(&reader->record, &money, err);
    if (status == WF_OK) {
        add_up(record, lsn, sums);
        status = compare_sums(record, money, sums, err);
    }
    free(money);
    free(sums);
    return status;
}

uint64_t account_check_next_reversed(const struct record *record, size_t *at) {
    while (*at < record->event_count) {
        const struct event *event = &record->events[(*at)++];
        uint64_t lsn = is_reversal(event) ? reversed_by(event) : 0;
        bool first = lsn != 0;
        for (size_t i = 0; first && i + 1 < *at; i++) { /* one operation for each currency */
            first = !is_reversal(&record->events[i]) || reversed_by(&record->events[i]) != lsn;
        }
        if (first) {
            return lsn;
        }
    }
    return 0;
}
