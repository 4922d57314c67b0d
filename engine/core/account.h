/* An account of the ledger: number, type, currency, status, balance, holds. What money may do is
 * ledger.h's matter.
 *
 * THE SIGN  A balance is what the bank owes the account's holder. A customer's 100.00 is +100.00; a
 * loan, which its customer owes, is below zero. The bank's own accounts are the other side of the
 * same book, so that all postings of a record, and all balances of a currency, sum to zero:
 *
 *   CASH/USD     money that came in over the counter or a wire: below zero what the bank holds
 *   MARKET/USD   above zero what the bank owes the market for purchases
 *   BANK/USD     fees: above zero what the bank earned
 *   FX/USD       the bank's position: above zero what it took in by exchanges, below what it gave
 *   OPENING/USD  the other side of balances that accounts were opened with
 *
 * They are opened by the first posting in their currency, and have no minimum. A customer's number
 * has no "/", and is none of these names: an operation that says "CASH" means one account only. */
#ifndef CORE_ACCOUNT_H
#define CORE_ACCOUNT_H

#include "engine/core/money.h"
#include "engine/core/state.h"

enum { ACCOUNT_HOLDS_MAX = 64 };

/* Part of a balance that is promised: it may be posted, in part or in whole, or voided. */
struct account_hold {
    int64_t amount;
    int64_t expires_ms; /* from then on it does not count; 0: never */
    uint64_t lsn;       /* of the record that placed it; 0: none has yet, a session's view has it */
    bool ended;         /* by the record that is being applied: it leaves when that is done */
    char name[HOLD_NAME_MAX + 1];
    char to[ACCOUNT_NUMBER_MAX + 1];
};

/* No limit below. */
#define ACCOUNT_NO_MINIMUM INT64_MIN
#define ACCOUNT_TYPE_INTERNAL "internal" /* of the bank's own */

struct account {
    struct entity entity;       /* ENTITY_ACCOUNT or ENTITY_INTERNAL_ACCOUNT */
    struct record_link history; /* the last record about it, refusals included; not hashed */
    uint64_t opened_lsn, lsn;   /* `lsn`: of the last record that changed it */
    uint64_t version;           /* how many records changed it */
    int64_t opened_ms, changed_ms;
    const struct currency *currency;
    int64_t balance; /* minor units */
    int64_t minimum; /* the balance less what is held never falls below it */
    enum account_status status;
    struct account_hold *holds;      /* in order of placement */
    struct account_hold *holds_left; /* where they were before they moved; NULL: they did not */
    size_t hold_count, hold_capacity;
    char type[ACCOUNT_TYPE_MAX + 1];
    uint32_t timer_at;   /* its place among the state's holds that expire, from 1; 0: it has none */
    int64_t pair_due_ms; /* when its first one expires, as the snapshot has it; 0: not at all */
    uint8_t number_size;
    char number[]; /* terminated */
};

/* On the heap, active, balance 0; NULL where memory fails. */
struct account *account_create(enum entity_kind kind, struct bytes_view number);
void account_destroy(struct account *account); /* takes NULL */
/* All that it is, with `holds_more` room for more holds, in no table and no list; NULL where memory
 * fails. */
struct account *account_copy(const struct account *account, size_t holds_more);
uint32_t account_bytes(const struct account *account); /* heap bytes, for entity.bytes */
struct account *state_account(const struct state *state, struct bytes_view number);
/* It will be looked for soon: have memory fetch where it would be found. */
void state_account_prefetch(const struct state *state, struct bytes_view number);
bool account_is_internal(const struct account *account);
/* A loan's balance is at most 0. */
bool account_is_loan(const struct account *account);
/* Not one of the bank's: these hold a "/". */
bool account_number_is_good(struct bytes_view number);
/* CASH, MARKET, BANK, FX or OPENING: opened by the bank, in each currency, and by nobody else. */
bool account_name_is_reserved(struct bytes_view name);

bool account_hold_is_expired(const struct account_hold *hold, int64_t now_ms);
/* NULL: none of that name, expired ones included. */
struct account_hold *account_find_hold(const struct account *account, struct bytes_view name);
/* When its first hold expires; 0: none does. */
int64_t account_due(const struct account *account);
/* Take out those that `ended`. */
void account_drop_ended_holds(struct account *account);
/* The sum of what is held at that time. */
int64_t account_held(const struct account *account, int64_t now_ms);
/* What may leave the account: balance less held less minimum; INT64_MAX where nothing bounds it. */
int64_t account_available(const struct account *account, int64_t now_ms);
/* Room for `count` more holds. Where they move to it, the bytes that they leave stay, until they
 * move again or some are dropped: the events of the record under way may name holds by them. False:
 * no memory. */
bool account_reserve_holds(struct account *account, size_t count);

#endif
