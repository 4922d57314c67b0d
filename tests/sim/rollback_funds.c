#include "tests/sim/rollback_funds.h"

#include <stdlib.h>
#include <string.h>

const int64_t funds_balance_first[FUNDS_CUSTOMERS] = {
    [FUNDS_A] = 20000, [FUNDS_B] = 5000, [FUNDS_C] = 1000, [FUNDS_E] = 3000};

const int64_t funds_minimum[FUNDS_ACCOUNTS] = {
    [FUNDS_C] = -10000,          [FUNDS_LOAN] = -50000,        [FUNDS_CASH] = INT64_MIN,
    [FUNDS_BANK] = INT64_MIN,    [FUNDS_FX] = INT64_MIN,       [FUNDS_FX_E] = INT64_MIN,
    [FUNDS_OPENING] = INT64_MIN, [FUNDS_OPENING_E] = INT64_MIN};

static bool is_euro(unsigned account) {
    return account == FUNDS_E || account == FUNDS_FX_E || account == FUNDS_OPENING_E;
}

void funds_start(struct funds *funds) {
    memset(funds, 0, sizeof *funds);
    for (unsigned i = 0; i < FUNDS_CUSTOMERS; i++) {
        funds->balance[i] = funds_balance_first[i];
        funds->balance[is_euro(i) ? FUNDS_OPENING_E : FUNDS_OPENING] -= funds_balance_first[i];
    }
}

/* --- holds --- */

static bool is_there(const struct funds_hold *hold, int64_t now_ms) {
    return hold->expires_ms == 0 || now_ms < hold->expires_ms;
}

int64_t funds_held(const struct funds *funds, unsigned account, int64_t now_ms) {
    int64_t held = 0;
    for (size_t i = 0; i < funds->hold_count; i++)
        if (funds->holds[i].from == account && is_there(&funds->holds[i], now_ms))
            held += funds->holds[i].cents;
    return held;
}

static void remove_hold(struct funds *funds, struct funds_hold *hold) {
    *hold = funds->holds[--funds->hold_count];
}

static void forget_expired(struct funds *funds, int64_t now_ms) {
    for (size_t i = funds->hold_count; i-- > 0;)
        if (!is_there(&funds->holds[i], now_ms))
            remove_hold(funds, &funds->holds[i]);
}

static struct funds_hold *find_hold(struct funds *funds, unsigned account, unsigned name) {
    for (size_t i = 0; i < funds->hold_count; i++)
        if (funds->holds[i].from == account && funds->holds[i].name == name)
            return &funds->holds[i];
    return NULL;
}

/* --- operations --- */

struct work {
    struct funds funds;
    int64_t put[FUNDS_ACCOUNTS];
    unsigned command;
    int64_t now_ms;
};

static bool can_pay(const struct work *work, unsigned account, int64_t cents) {
    int64_t held = funds_held(&work->funds, account, work->now_ms);
    return funds_minimum[account] == INT64_MIN ||
           work->funds.balance[account] - held - cents >= funds_minimum[account];
}

static void put(struct work *work, unsigned account, int64_t cents) {
    work->funds.balance[account] += cents;
    work->put[account] += cents;
}

static bool move(struct work *work, unsigned from, unsigned to, int64_t cents) {
    if (!can_pay(work, from, cents))
        return false;
    put(work, from, -cents);
    put(work, to, cents);
    return to != FUNDS_LOAN || work->funds.balance[to] <= 0;
}

static bool is_open(const struct work *work, unsigned customer) {
    return !work->funds.frozen[customer];
}

/* One that takes part: no loan where none is meant, and in dollars. */
static bool is_good(const struct work *work, unsigned customer) {
    return customer != FUNDS_LOAN && !is_euro(customer) && is_open(work, customer);
}

static bool hold(struct work *work, const struct funds_ask *ask) {
    struct funds *funds = &work->funds;
    if (!is_good(work, ask->from) || !is_good(work, ask->to) || ask->from == ask->to ||
        find_hold(funds, ask->from, ask->hold) != NULL || !can_pay(work, ask->from, ask->cents))
        return false;
    if (funds->hold_count == FUNDS_HOLDS_MAX)
        abort();
    funds->holds[funds->hold_count++] = (struct funds_hold){
        .from = ask->from,
        .to = ask->to,
        .name = ask->hold,
        .cents = ask->cents,
        .expires_ms = ask->expires_in_ms == 0 ? 0 : work->now_ms + ask->expires_in_ms,
        .command = work->command,
    };
    return true;
}

static bool post(struct work *work, const struct funds_ask *ask) {
    struct funds_hold *found = find_hold(&work->funds, ask->from, ask->hold);
    if (found == NULL || found->command == work->command || !is_open(work, found->from) ||
        !is_open(work, found->to) || ask->cents > found->cents)
        return false;
    int64_t cents = ask->cents == 0 ? found->cents : ask->cents;
    put(work, found->from, -cents);
    put(work, found->to, cents);
    remove_hold(&work->funds, found);
    return true;
}

static bool void_hold(struct work *work, const struct funds_ask *ask) {
    struct funds_hold *found = find_hold(&work->funds, ask->from, ask->hold);
    if (found == NULL || found->command == work->command)
        return false;
    remove_hold(&work->funds, found);
    return true;
}

static bool exchange(struct work *work, const struct funds_ask *ask) {
    int64_t worth = ask->cents / 10 * 9;
    if (!is_good(work, ask->from) || !is_open(work, FUNDS_E) ||
        !move(work, ask->from, FUNDS_FX, ask->cents))
        return false;
    put(work, FUNDS_FX_E, -worth);
    put(work, FUNDS_E, worth);
    return true;
}

static bool take_one(struct work *work, const struct funds_ask *ask) {
    switch (ask->type) {
    case FUNDS_DEPOSIT:
        return is_good(work, ask->to) && move(work, FUNDS_CASH, ask->to, ask->cents);
    case FUNDS_WITHDRAWAL:
        return is_good(work, ask->from) && move(work, ask->from, FUNDS_CASH, ask->cents);
    case FUNDS_TRANSFER:
        return is_good(work, ask->from) && is_good(work, ask->to) && ask->from != ask->to &&
               move(work, ask->from, ask->to, ask->cents);
    case FUNDS_FEE:
        return is_good(work, ask->from) && move(work, ask->from, FUNDS_BANK, ask->cents);
    case FUNDS_EXCHANGE:
        return exchange(work, ask);
    case FUNDS_DISBURSEMENT:
        return is_open(work, FUNDS_LOAN) && is_good(work, ask->to) &&
               move(work, FUNDS_LOAN, ask->to, ask->cents);
    case FUNDS_PAYMENT:
        return is_good(work, ask->from) && is_open(work, FUNDS_LOAN) &&
               move(work, ask->from, FUNDS_LOAN, ask->cents);
    case FUNDS_HOLD:
        return hold(work, ask);
    case FUNDS_POST:
        return post(work, ask);
    case FUNDS_VOID:
        return void_hold(work, ask);
    case FUNDS_TYPES:
        break;
    }
    abort();
}

bool funds_take(struct funds *funds, const struct funds_ask *asks, size_t count, unsigned command,
                int64_t now_ms, int stage) {
    struct work work = {.funds = *funds, .command = command, .now_ms = now_ms};
    forget_expired(&work.funds, now_ms);
    for (size_t i = 0; i < count; i++)
        if (!take_one(&work, &asks[i]))
            return false;
    if (stage >= 0) {
        work.funds.stage[stage].command = command;
        memcpy(work.funds.stage[stage].put, work.put, sizeof work.put);
    }
    *funds = work.funds;
    return true;
}

/* --- going back --- */

/* Nobody is overdrawn, no frozen account moves, no loan is paid beyond what is owed. */
static bool gives_back(const struct funds *funds, unsigned account, int64_t got, int64_t now_ms) {
    int64_t left = funds->balance[account] - got;
    if (account < FUNDS_CUSTOMERS && funds->frozen[account])
        return false;
    if (account == FUNDS_LOAN && left > 0)
        return false;
    return got < 0 || funds_minimum[account] == INT64_MIN ||
           left - funds_held(funds, account, now_ms) >= funds_minimum[account];
}

bool funds_undo(struct funds *funds, unsigned stage, int64_t now_ms) {
    unsigned command = funds->stage[stage].command;
    if (command == 0)
        return true;
    for (size_t i = funds->hold_count; i-- > 0;) {
        if (funds->holds[i].command != command)
            continue;
        funds->freed += is_there(&funds->holds[i], now_ms);
        remove_hold(funds, &funds->holds[i]);
    }
    for (unsigned i = 0; i < FUNDS_ACCOUNTS; i++) {
        int64_t got = funds->stage[stage].put[i];
        if (got != 0 && !gives_back(funds, i, got, now_ms))
            return false;
        funds->balance[i] -= got;
    }
    funds->stage[stage].command = 0;
    funds->given_back++;
    return true;
}

bool funds_set_frozen(struct funds *funds, unsigned account, bool frozen) {
    if (funds->frozen[account] == frozen)
        return false;
    funds->frozen[account] = frozen;
    return true;
}
