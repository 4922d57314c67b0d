#include "engine/core/account.h"

#include "engine/core/text.h"

#include <stdlib.h>
#include <string.h>

struct account *account_create(enum entity_kind kind, struct bytes_view number) {
    struct account *account = calloc(1, sizeof *account + number.size + 1);
    if (account == NULL)
        return NULL;
    account->entity.kind = kind;
    account->status = ACCOUNT_ACTIVE;
    account->number_size = (uint8_t)number.size;
    memcpy(account->number, number.data, number.size);
    account->entity.bytes = account_bytes(account);
    return account;
}

struct account *account_copy(const struct account *account, size_t holds_more) {
    struct bytes_view number = {(const uint8_t *)account->number, account->number_size};
    struct account *copy = account_create(account->entity.kind, number);
    if (copy == NULL)
        return NULL;
    memcpy(copy, account, sizeof *copy);
    copy->entity.next = copy->entity.previous = NULL;
    copy->timer_at = 0;
    copy->holds = copy->holds_left = NULL;
    copy->hold_capacity = account->hold_count + holds_more;
    if (copy->hold_capacity == 0)
        return copy;
    copy->holds = calloc(copy->hold_capacity, sizeof *copy->holds);
    if (copy->holds == NULL) {
        account_destroy(copy);
        return NULL;
    }
    if (account->hold_count > 0)
        memcpy(copy->holds, account->holds, account->hold_count * sizeof *copy->holds);
    return copy;
}

void account_destroy(struct account *account) {
    if (account == NULL)
        return;
    free(account->holds_left);
    free(account->holds);
    free(account);
}

uint32_t account_bytes(const struct account *account) {
    enum { ALLOCATION_OVERHEAD = 16 };
    return (uint32_t)(sizeof *account + account->number_size + 1 + ALLOCATION_OVERHEAD +
                      account->hold_capacity * sizeof *account->holds);
}

struct account *state_account(const struct state *state, struct bytes_view number) {
    return table_find(&state->accounts, number.data, number.size);
}

void state_account_prefetch(const struct state *state, struct bytes_view number) {
    table_prefetch(&state->accounts, number.data, number.size);
}

bool account_is_internal(const struct account *account) {
    return account->entity.kind == ENTITY_INTERNAL_ACCOUNT;
}

bool account_is_loan(const struct account *account) {
    return strcmp(account->type, "loan") == 0;
}

bool account_number_is_good(struct bytes_view number) {
    return text_is_name(number, ACCOUNT_NUMBER_MAX) &&
           memchr(number.data, '/', number.size) == NULL;
}

bool account_name_is_reserved(struct bytes_view name) {
    static const char *const own[] = {"CASH", "MARKET", "BANK", "FX", "OPENING"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (text_equal(name, own[i]))
            return true;
    return false;
}

bool account_hold_is_expired(const struct account_hold *hold, int64_t now_ms) {
    return hold->expires_ms != 0 && hold->expires_ms <= now_ms;
}

struct account_hold *account_find_hold(const struct account *account, struct bytes_view name) {
    for (size_t i = 0; i < account->hold_count; i++)
        if (!account->holds[i].ended && text_equal(name, account->holds[i].name))
            return &account->holds[i];
    return NULL;
}

int64_t account_due(const struct account *account) {
    int64_t due_ms = 0;
    for (size_t i = 0; i < account->hold_count; i++) {
        int64_t expires_ms = account->holds[i].expires_ms;
        if (expires_ms != 0 && (due_ms == 0 || expires_ms < due_ms))
            due_ms = expires_ms;
    }
    return due_ms;
}

void account_drop_ended_holds(struct account *account) {
    size_t kept = 0;
    for (size_t i = 0; i < account->hold_count; i++)
        if (!account->holds[i].ended)
            account->holds[kept++] = account->holds[i];
    account->hold_count = kept;
    free(account->holds_left);
    account->holds_left = NULL;
}

int64_t account_held(const struct account *account, int64_t now_ms) {
    int64_t held = 0; /* each hold was within what was available: the sum fits */
    for (size_t i = 0; i < account->hold_count; i++)
        if (!account_hold_is_expired(&account->holds[i], now_ms) &&
            __builtin_add_overflow(held, account->holds[i].amount, &held))
            return INT64_MAX;
    return held;
}

int64_t account_available(const struct account *account, int64_t now_ms) {
    int64_t left;
    if (account->minimum == ACCOUNT_NO_MINIMUM)
        return INT64_MAX;
    if (__builtin_sub_overflow(account->balance, account_held(account, now_ms), &left))
        return INT64_MIN;
    if (__builtin_sub_overflow(left, account->minimum, &left))
        return account->minimum < 0 ? INT64_MAX : INT64_MIN;
    return left;
}

bool account_reserve_holds(struct account *account, size_t count) {
    size_t needed = account->hold_count + count;
    if (needed <= account->hold_capacity)
        return true;
    struct account_hold *grown = calloc(needed, sizeof *grown);
    if (grown == NULL)
        return false;
    if (account->hold_count > 0)
        memcpy(grown, account->holds, account->hold_count * sizeof *grown);
    free(account->holds_left);
    account->holds_left = account->holds;
    account->holds = grown;
    account->hold_capacity = needed;
    return true;
}
