/* Accounts and reference data as bytes; entity.c has the layouts. */
#include "engine/core/ledger.h"

#include "engine/core/reference.h"
#include "engine/core/state_inner.h"
#include "engine/core/text.h"

#include <stdlib.h>

/* --- account --- */

static void encode_holds(const struct account *account, struct bytes_buffer *value) {
    bytes_write_varint(value, account->hold_count);
    for (size_t i = 0; i < account->hold_count; i++) {
        const struct account_hold *hold = &account->holds[i];
        bytes_write_varint(value, (uint64_t)hold->amount);
        bytes_write_zigzag(value, hold->expires_ms);
        bytes_write_varint(value, hold->lsn);
        bytes_write_string(value, hold->name, strlen(hold->name));
        bytes_write_string(value, hold->to, strlen(hold->to));
    }
}

void ledger_encode_account(const struct account *account, struct bytes_buffer *value,
                           size_t *hashed) {
    bytes_write_run(value, account->currency->code, CURRENCY_SIZE);
    bytes_write_u8(value, (uint8_t)account->status);
    bytes_write_string(value, account->type, strlen(account->type));
    bytes_write_zigzag(value, account->balance);
    bytes_write_zigzag(value, account->minimum);
    bytes_write_varint(value, account->version);
    bytes_write_varint(value, account->opened_lsn);
    bytes_write_varint(value, account->lsn);
    bytes_write_zigzag(value, account->opened_ms);
    bytes_write_zigzag(value, account->changed_ms);
    encode_holds(account, value);
    *hashed = value->size;
    bytes_write_varint(value, account->history.lsn);
    bytes_write_varint(value, account->history.offset);
}

static bool copy_text(char *to, size_t size_max, struct bytes_view text) {
    if (text.size > size_max || !text_is_utf8(text))
        return false;
    if (text.size > 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}

static bool decode_hold(struct account_hold *hold, struct bytes_reader *reader) {
    uint64_t amount = bytes_read_varint(reader);
    hold->amount = (int64_t)amount;
    hold->ended = false;
    hold->expires_ms = bytes_read_zigzag(reader);
    hold->lsn = bytes_read_varint(reader);
    struct bytes_view name = bytes_read_string(reader);
    struct bytes_view to = bytes_read_string(reader);
    return amount > 0 && amount <= INT64_MAX && name.size > 0 &&
           copy_text(hold->name, HOLD_NAME_MAX, name) &&
           copy_text(hold->to, ACCOUNT_NUMBER_MAX, to);
}

static enum wf_status decode_holds(struct account *account, struct bytes_reader *reader,
                                   struct wf_error *err) {
    uint64_t count = bytes_read_varint(reader);
    if (count > 2 * ACCOUNT_HOLDS_MAX)
        bytes_reader_fail(reader);
    else if (!account_reserve_holds(account, (size_t)count))
        return error_set(err, WF_NO_MEMORY, "no memory for the holds of account %s",
                         account->number);
    for (uint64_t i = 0; i < count && bytes_reader_ok(reader); i++)
        if (decode_hold(&account->holds[i], reader))
            account->hold_count++;
        else
            bytes_reader_fail(reader);
    return WF_OK;
}

static enum wf_status decode_account(struct account *account, struct bytes_reader *reader,
                                     struct wf_error *err) {
    account->currency = currency_find(bytes_read_run(reader, CURRENCY_SIZE));
    account->status = (enum account_status)bytes_read_u8(reader);
    struct bytes_view type = bytes_read_string(reader);
    account->balance = bytes_read_zigzag(reader);
    account->minimum = bytes_read_zigzag(reader);
    account->version = bytes_read_varint(reader);
    account->opened_lsn = bytes_read_varint(reader);
    account->lsn = bytes_read_varint(reader);
    account->opened_ms = bytes_read_zigzag(reader);
    account->changed_ms = bytes_read_zigzag(reader);
    enum wf_status status = decode_holds(account, reader, err);
    if (status != WF_OK)
        return status;
    account->history.lsn = bytes_read_varint(reader);
    account->history.offset = bytes_read_varint(reader);
    if (!bytes_reader_done(reader) || account->currency == NULL || account->opened_lsn == 0 ||
        account_status_name(account->status) == NULL || type.size == 0 ||
        !copy_text(account->type, ACCOUNT_TYPE_MAX, type))
        return error_set(err, WF_DAMAGE, "the value of account %s is malformed", account->number);
    return WF_OK;
}

enum wf_status ledger_load_account(struct state *state, enum entity_kind kind,
                                   struct bytes_view number, struct bytes_reader *reader,
                                   struct entity **out, struct wf_error *err) {
    if (!text_is_name(number, ACCOUNT_NUMBER_MAX) || state_account(state, number) != NULL ||
        account_number_is_good(number) != (kind == ENTITY_ACCOUNT))
        return error_set(err, WF_DAMAGE, "an account's number is malformed or there twice");
    struct account *account = account_create(kind, number);
    if (account == NULL || !table_reserve(&state->accounts) || !timers_reserve(&state->holds)) {
        free(account);
        return error_set(err, WF_NO_MEMORY, "no memory for account %.*s", TEXT_ARGS(number));
    }
    enum wf_status status = decode_account(account, reader, err);
    if (status != WF_OK) {
        account_destroy(account);
        return status;
    }
    account->entity.bytes = account_bytes(account);
    account->entity.changed_lsn = account->history.lsn;
    table_insert(&state->accounts, account);
    if (kind == ENTITY_ACCOUNT) {
        account->pair_due_ms = account_due(account);
        timers_follow_account(&state->holds, account);
    }
    state_adopt(state, &account->entity);
    *out = &account->entity;
    return WF_OK;
}

/* --- reference data --- */

void ledger_encode_reference(const struct reference *reference, struct bytes_buffer *value) {
    bytes_write_varint(value, reference->lsn);
    bytes_write_zigzag(value, reference->set_ms);
    bytes_write_u8(value, (uint8_t)reference->field_count);
    for (size_t i = 0; i < reference->field_count; i++) {
        const struct field *field = &reference->fields[i];
        bytes_write_string(value, (const char *)field->name.data, field->name.size);
        bytes_write_string(value, (const char *)field->value.data, field->value.size);
    }
}

static enum reference_kind split_key(struct bytes_view key, struct bytes_view *name) {
    for (int kind = REFERENCE_RATE; kind <= REFERENCE_FEE_RULE; kind++) {
        const char *word = reference_kind_name((enum reference_kind)kind);
        size_t size = strlen(word);
        if (key.size > size + 1 && memcmp(key.data, word, size) == 0 && key.data[size] == '/') {
            *name = (struct bytes_view){key.data + size + 1, key.size - size - 1};
            return (enum reference_kind)kind;
        }
    }
    return (enum reference_kind)0;
}

enum wf_status ledger_load_reference(struct state *state, struct bytes_view key,
                                     struct bytes_reader *reader, struct entity **out,
                                     struct wf_error *err) {
    struct field fields[REFERENCE_FIELDS_MAX];
    struct bytes_view name = {NULL, 0};
    enum reference_kind kind = split_key(key, &name);
    uint64_t lsn = bytes_read_varint(reader);
    int64_t set_ms = bytes_read_zigzag(reader);
    size_t count = bytes_read_u8(reader);
    if (count > REFERENCE_FIELDS_MAX)
        bytes_reader_fail(reader);
    for (size_t i = 0; i < count && bytes_reader_ok(reader); i++) {
        fields[i].name = bytes_read_string(reader);
        fields[i].value = bytes_read_string(reader);
    }
    struct reference *reference = NULL;
    struct wf_error why = {0};
    enum wf_status status =
        bytes_reader_done(reader) && table_find(&state->references, key.data, key.size) == NULL
            ? reference_create(kind, name, fields, count, set_ms, &reference, &why)
            : WF_DAMAGE;
    if (status == WF_OK && !table_reserve(&state->references))
        status = WF_NO_MEMORY;
    if (status != WF_OK) {
        reference_destroy(reference);
        return error_set(err, status == WF_NO_MEMORY ? status : WF_DAMAGE,
                         "the value of the reference data %.*s is malformed", TEXT_ARGS(key));
    }
    reference->lsn = lsn;
    reference->entity.changed_lsn = lsn;
    table_insert(&state->references, reference);
    state_adopt(state, &reference->entity);
    *out = &reference->entity;
    return WF_OK;
}
