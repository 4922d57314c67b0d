/* A bank beside the workflow of rollback_model.h, modelled a second time from the rules for people:
 * plain balances, a list of holds, and what each stage's completion moved. Shares no code with the
 * engine. */
#ifndef TESTS_ROLLBACK_FUNDS_H
#define TESTS_ROLLBACK_FUNDS_H

#include "tests/sim/rollback_plan.h"

enum funds_account {
    FUNDS_A, /* in USD: never below zero */
    FUNDS_B,
    FUNDS_C,    /* down to -100.00 */
    FUNDS_E,    /* in EUR */
    FUNDS_LOAN, /* in USD: from -500.00 to zero */
    FUNDS_CUSTOMERS,
    FUNDS_CASH = FUNDS_CUSTOMERS, /* the bank's own: without limit */
    FUNDS_BANK,
    FUNDS_FX,
    FUNDS_FX_E,
    FUNDS_OPENING,
    FUNDS_OPENING_E,
    FUNDS_ACCOUNTS,
};

enum funds_type {
    FUNDS_DEPOSIT,
    FUNDS_WITHDRAWAL,
    FUNDS_TRANSFER,
    FUNDS_FEE,
    FUNDS_EXCHANGE, /* of whole tens of USD into EUR, at 0.90 */
    FUNDS_DISBURSEMENT,
    FUNDS_PAYMENT,
    FUNDS_HOLD,
    FUNDS_POST,
    FUNDS_VOID,
    FUNDS_TYPES,
};

enum { FUNDS_HOLD_NAMES = 3, FUNDS_HOLDS_MAX = FUNDS_CUSTOMERS * FUNDS_HOLD_NAMES };
enum { FUNDS_OPERATIONS_MAX = 4 };

/* One operation; what its type does not take is not looked at. */
struct funds_ask {
    enum funds_type type;
    unsigned from, to;
    int64_t cents;         /* 0 of a post: all that is held */
    unsigned hold;         /* below FUNDS_HOLD_NAMES */
    int64_t expires_in_ms; /* 0: never */
};

struct funds_hold {
    unsigned from, to, name;
    int64_t cents, expires_ms;
    unsigned command; /* that placed it */
};

struct funds {
    int64_t balance[FUNDS_ACCOUNTS];
    bool frozen[FUNDS_CUSTOMERS];
    size_t hold_count;
    struct funds_hold holds[FUNDS_HOLDS_MAX];
    struct {
        unsigned command; /* 0: it moved nothing */
        int64_t put[FUNDS_ACCOUNTS];
    } stage[PLAN_STAGES_MAX];
    unsigned given_back;  /* stages whose money went back */
    unsigned given_again; /* of a later attempt than the first */
    unsigned freed;       /* holds that went with them */
};

/* What the accounts begin with; 0 of the bank's own. */
extern const int64_t funds_balance_first[FUNDS_CUSTOMERS];
/* The balance less what is held never falls below it; INT64_MIN: no limit. */
extern const int64_t funds_minimum[FUNDS_ACCOUNTS];

void funds_start(struct funds *funds);
/* All of them as command number `command`, and, where `stage` is one, for its completion; or false,
 * and nothing has changed. */
bool funds_take(struct funds *funds, const struct funds_ask *asks, size_t count, unsigned command,
                int64_t now_ms, int stage);
/* What the stage's completion moved goes back. False: it cannot; then the funds are worthless. */
bool funds_undo(struct funds *funds, unsigned stage, int64_t now_ms);
bool funds_set_frozen(struct funds *funds, unsigned account, bool frozen); /* false: it is so */
int64_t funds_held(const struct funds *funds, unsigned account, int64_t now_ms);

#endif
