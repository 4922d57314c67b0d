#include "engine/core/stage_money.h"

#include "engine/core/account.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <stdlib.h>

__extension__ typedef __int128 wide;

enum {
    MALLOC_OVERHEAD = 16,
    SIZE_MAX_BYTES = RECORD_TOUCHES_MAX * 256, /* far above what a record can make */
};

/* --- entries --- */

static bool read_entry(struct bytes_reader *reader, struct stage_money_entry *entry) {
    *entry = (struct stage_money_entry){.kind = (enum entity_kind)bytes_read_u8(reader)};
    entry->account = bytes_read_string(reader);
    if (entry->kind == 0) {
        entry->hold = bytes_read_string(reader);
        return bytes_reader_ok(reader) && text_is_name(entry->hold, HOLD_NAME_MAX) &&
               text_is_name(entry->account, ACCOUNT_NUMBER_MAX);
    }
    entry->currency = bytes_read_run(reader, CURRENCY_SIZE);
    entry->amount = bytes_read_zigzag(reader);
    return bytes_reader_ok(reader) && text_is_name(entry->account, ACCOUNT_NUMBER_MAX) &&
           (entry->kind == ENTITY_ACCOUNT || entry->kind == ENTITY_INTERNAL_ACCOUNT) &&
           currency_find(entry->currency) != NULL && entry->amount != 0;
}

bool stage_money_next(const struct stage_money *money, size_t *at,
                      struct stage_money_entry *entry) {
    if (*at >= money->size)
        return false;
    struct bytes_reader reader = bytes_reader_make(money->data + *at, money->size - *at);
    if (!read_entry(&reader, entry))
        return false;
    *at = money->size - bytes_reader_left(&reader);
    return true;
}

/* --- making it of a record --- */

/* What the record's operations put on each account, by its touch. */
static bool sum_postings(const struct record *record, int64_t *sums) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind != EVENT_OPERATION_POSTED)
            continue;
        for (size_t j = 0; j < event->as.operation_posted.posting_count; j++) {
            const struct posting *posting = &event->as.operation_posted.postings[j];
            if (posting->account >= record->touch_count ||
                __builtin_add_overflow(sums[posting->account], posting->amount,
                                       &sums[posting->account]))
                return false;
        }
    }
    return true;
}

static bool write_postings(const struct record *record, const int64_t *sums,
                           struct bytes_buffer *out) {
    for (size_t i = 0; i < record->touch_count; i++) {
        const struct record_touch *touch = &record->touches[i];
        if (touch->currency.size != CURRENCY_SIZE)
            return false;
        if (sums[i] == 0)
            continue;
        bytes_write_u8(out, (uint8_t)touch->kind);
        bytes_write_string(out, (const char *)touch->name.data, touch->name.size);
        bytes_write_run(out, touch->currency.data, touch->currency.size);
        bytes_write_zigzag(out, sums[i]);
    }
    return true;
}

static bool write_holds(const struct record *record, struct bytes_buffer *out) {
    for (size_t i = 0; i < record->event_count; i++) {
        const struct event *event = &record->events[i];
        if (event->kind != EVENT_HOLD_PLACED)
            continue;
        if (event->as.hold_placed.account >= record->touch_count)
            return false;
        struct bytes_view account = record->touches[event->as.hold_placed.account].name;
        struct bytes_view hold = event->as.hold_placed.name;
        bytes_write_u8(out, 0);
        bytes_write_string(out, (const char *)account.data, account.size);
        bytes_write_string(out, (const char *)hold.data, hold.size);
    }
    return true;
}

static struct stage_money *allocate(const void *data, size_t size) {
    struct stage_money *money = calloc(1, sizeof *money + size);
    if (money == NULL)
        return NULL;
    money->size = size;
    if (size > 0)
        memcpy(money->data, data, size);
    return money;
}

static bool is_readable(const struct stage_money *money) {
    struct stage_money_entry entry;
    size_t at = 0;
    while (stage_money_next(money, &at, &entry)) {
    }
    return at == money->size;
}

enum wf_status stage_money_create(const struct record *record, struct stage_money **out,
                                  struct wf_error *err) {
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    int64_t *sums = calloc(record->touch_count + 1, sizeof *sums);
    bool sound =
        sums == NULL || (sum_postings(record, sums) && write_postings(record, sums, &bytes) &&
                         write_holds(record, &bytes));
    *out =
        sums != NULL && bytes_buffer_ok(&bytes) && sound ? allocate(bytes.data, bytes.size) : NULL;
    free(sums);
    bytes_buffer_deinit(&bytes);
    if (sound && *out != NULL && is_readable(*out)) {
        (*out)->lsn = record->lsn;
        return WF_OK;
    }
    bool no_memory = sound && *out == NULL;
    free(*out);
    *out = NULL;
    return no_memory
               ? error_set(err, WF_NO_MEMORY, "no memory for what a record moved")
               : error_set(err, WF_DAMAGE, "record %" PRIu64 " moves money on malformed accounts",
                           record->lsn);
}

/* --- a workflow's list --- */

struct stage_money *stage_money_find(const struct workflow *workflow, unsigned stage) {
    struct stage_money *money = workflow->money;
    while (money != NULL && money->stage != stage)
        money = money->next;
    return money;
}

void stage_money_put(struct workflow *workflow, struct stage_money *money) {
    stage_money_remove(workflow, money->stage);
    struct stage_money **at = &workflow->money;
    while (*at != NULL && (*at)->stage < money->stage)
        at = &(*at)->next;
    money->next = *at;
    *at = money;
}

void stage_money_remove(struct workflow *workflow, unsigned stage) {
    for (struct stage_money **at = &workflow->money; *at != NULL; at = &(*at)->next) {
        if ((*at)->stage != stage)
            continue;
        struct stage_money *gone = *at;
        *at = gone->next;
        free(gone);
        return;
    }
}

void stage_money_remove_all(struct workflow *workflow) {
    while (workflow->money != NULL) {
        struct stage_money *gone = workflow->money;
        workflow->money = gone->next;
        free(gone);
    }
}

size_t stage_money_bytes(const struct workflow *workflow) {
    size_t bytes = 0;
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next)
        bytes += sizeof *money + money->size + MALLOC_OVERHEAD;
    return bytes;
}

/* --- bytes: count, then each: stage u8, epoch, +LSN, size, data --- */

void stage_money_encode(const struct workflow *workflow, struct bytes_buffer *value) {
    size_t count = 0;
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next)
        count++;
    bytes_write_varint(value, count);
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next) {
        bytes_write_u8(value, money->stage);
        bytes_write_varint(value, money->epoch);
        bytes_write_varint(value, money->lsn - workflow->started_lsn);
        bytes_write_varint(value, money->size);
        bytes_write_run(value, money->data, money->size);
    }
}

static bool decode_one(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory) {
    unsigned stage = bytes_read_u8(reader);
    uint64_t epoch = bytes_read_varint(reader);
    uint64_t lsn = workflow->started_lsn + bytes_read_varint(reader);
    uint64_t size = bytes_read_varint(reader);
    struct bytes_view data =
        bytes_read_run(reader, size <= SIZE_MAX_BYTES ? (size_t)size : SIZE_MAX);
    if (!bytes_reader_ok(reader) || stage >= workflow->definition->stage_count || epoch == 0 ||
        epoch > UINT32_MAX || stage_money_find(workflow, stage) != NULL)
        return false;
    struct stage_money *money = allocate(data.data, data.size);
    *no_memory = money == NULL;
    if (money == NULL)
        return false;
    money->stage = (uint8_t)stage;
    money->epoch = (uint32_t)epoch;
    money->lsn = lsn;
    stage_money_put(workflow, money);
    return is_readable(money);
}

bool stage_money_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory) {
    uint64_t count = bytes_read_varint(reader);
    if (count == 0)
        return false;
    for (uint64_t i = 0; i < count; i++)
        if (!decode_one(workflow, reader, no_memory))
            return false;
    return true;
}

/* --- invariants --- */

static wide sum_like(const struct stage_money *money, struct bytes_view currency) {
    struct stage_money_entry entry;
    wide sum = 0;
    for (size_t at = 0; stage_money_next(money, &at, &entry);)
        if (entry.kind != 0 && text_same(entry.currency, currency))
            sum += entry.amount;
    return sum;
}

const char *stage_money_check(const struct workflow *workflow) {
    for (const struct stage_money *money = workflow->money; money != NULL; money = money->next) {
        const struct stage_state *stage = &workflow->stages[money->stage];
        if (stage->completed_lsn == 0 || stage->completed_lsn != money->lsn)
            return "money is bound to a stage, and not by the record that completed it";
        if (stage->attempt != money->epoch)
            return "money is bound to another attempt of a stage";
        struct stage_money_entry entry;
        for (size_t at = 0; stage_money_next(money, &at, &entry);)
            if (entry.kind != 0 && sum_like(money, entry.currency) != 0)
                return "the money bound to a stage does not sum to zero";
    }
    return NULL;
}
