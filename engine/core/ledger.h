/* The ledger machine: what operations on accounts come to, and what their events do. The sign of a
 * balance and the bank's own accounts are in account.h, what rules look at in reference.h. */
#ifndef CORE_LEDGER_H
#define CORE_LEDGER_H

#include "engine/core/account.h"
#include "engine/core/decide.h"

/* What an operation may be asked to keep to. sufficient_funds and same_currency hold for every
 * operation, asked for or not. Values are bits on disk. */
enum rule {
    RULE_SUFFICIENT_FUNDS = 0,
    RULE_SAME_CURRENCY = 1,
    RULE_EXCHANGE_RATE_VALIDATION = 2, /* the rate is present, fresh, and within its band */
    RULE_MARKET_HOURS = 3,             /* the instrument's market is open */
    RULE_INSTRUMENT_AVAILABLE = 4,
    RULE_SERVICE_FEE_RULES = 5, /* the fee is one that a fee rule allows */
    RULE_COUNT,
};
const char *rule_name(enum rule rule);
/* RULE_COUNT: unknown. */
enum rule rule_parse(struct bytes_view word);

/* --- deciding --- */

void ledger_decide_open(const struct state *state, const struct command *command,
                        struct decision *decision);
void ledger_decide_transact(const struct state *state, const struct command *command,
                            struct decision *decision);
/* The operations, as a part of what a command comes to: all of them or none. False: refused, and
 * `decision` says so, counting from the first of the `before` ones that came before. Those that
 * belong to a stage go back with it, so they only move money. */
bool ledger_decide_operations(const struct state *state, const struct operation *operations,
                              size_t count, size_t before, struct decision *decision);
void ledger_decide_reverse(const struct state *state, const struct command *command,
                           struct decision *decision);
/* Holds of the account that have expired end. */
void ledger_decide_expire(const struct state *state, const struct command *command,
                          struct decision *decision);
void ledger_decide_status(const struct state *state, const struct command *command,
                          struct decision *decision);

/* --- one transaction while it is decided: ledger_work.c --- */

/* What the operations before this one made of the accounts is in decision->lines. */
struct reference;

struct ledger_work {
    const struct state *state;
    struct decision *decision;
    const struct operation *operation;  /* the one that is decided; NULL: none */
    const struct operation *operations; /* all of them */
    size_t before;                      /* how many there were before these */
    enum operation_kind kind;
    uint32_t rules; /* asked for by it: bits 1 << enum rule */
    char what[160]; /* what is refused where it is no operation, with ": " at its end */
};

enum { LEDGER_NONE = -1 };

/* The account's line, by number; LEDGER_NONE and a refusal where there is none. */
int ledger_line(struct ledger_work *work, struct bytes_view number);
/* The bank's own of this name and currency; opened where there is none yet. */
int ledger_internal_line(struct ledger_work *work, const char *name,
                         const struct currency *currency);
/* Of an account that this record opens, with its event. */
int ledger_open_line(struct ledger_work *work, enum entity_kind kind, struct bytes_view number,
                     struct bytes_view type, const struct currency *currency, int64_t minimum);
/* Is there an account of this number, or was it opened just now? It is in the record then. */
bool ledger_meets(struct ledger_work *work, struct bytes_view number);
/* Any account that is there, one of the bank's own too. */
int ledger_any_line(struct ledger_work *work, struct bytes_view number);
struct ledger_line *ledger_line_at(struct ledger_work *work, int line);
/* Begin an operation's postings, add to them, and make them an event. */
void ledger_posting_begin(struct ledger_work *work, enum operation_kind kind);
bool ledger_post(struct ledger_work *work, int line, int64_t amount);
struct event *ledger_posting_end(struct ledger_work *work);
void ledger_note(struct ledger_work *work, const char *name, struct bytes_view value);
/* The operation is refused: "operation 3 (transfer): …". False. */
bool ledger_refuse(struct ledger_work *work, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void ledger_begin(struct ledger_work *work, const struct state *state, struct decision *decision);
/* The touches say what became of the accounts. */
void ledger_finish(struct ledger_work *work);
/* What was refused changed nothing: accounts that it would have opened are not there. */
void ledger_drop_new(struct decision *decision);
void ledger_end_hold(struct ledger_work *work, int line, const struct account_hold *hold,
                     enum hold_end end);
/* An amount above 0 in this currency. */
bool ledger_amount(struct ledger_work *work, struct bytes_view text,
                   const struct currency *currency, int64_t *amount);
bool ledger_is_active(struct ledger_work *work, int line);
/* May so much leave? */
bool ledger_can_pay(struct ledger_work *work, int line, int64_t amount);
/* "ACC001" of a line. */
struct bytes_view ledger_line_name(struct ledger_work *work, int line);

/* --- operations on one account: ledger_account.c. False: refused. --- */

bool ledger_decide_account_open(struct ledger_work *work);
bool ledger_decide_account_status(struct ledger_work *work);

/* --- the rules that look at reference data: ledger_rules.c. False: refused. --- */

/* The rate to use, and how it stands in the record. */
bool ledger_rule_rate(struct ledger_work *work, const struct currency *from,
                      const struct currency *to, int64_t *rate);
bool ledger_rule_instrument(struct ledger_work *work, const struct currency *currency);
bool ledger_rule_fee(struct ledger_work *work, const struct currency *currency, int64_t amount);

/* --- moving back: ledger_reverse.c --- */

struct stage_money;
/* Post the opposite of what a record moved, and void what is left of its holds. `lsn` is the
 * record's, in words that live as long as the decision. False: refused. */
bool ledger_reverse(struct ledger_work *work, const struct stage_money *money, const char *lsn);

/* --- applying --- */

/* Look up the accounts that the record touches, before its events are reserved. WF_NO_MEMORY,
 * WF_DAMAGE. */
enum wf_status ledger_reserve_touches(struct state *state, const struct record *record,
                                      struct wf_error *err);
enum wf_status ledger_reserve(struct state *state, const struct record *record,
                              const struct event *event, struct wf_error *err);
/* After its events: do the balances come to what the touches say? */
enum wf_status ledger_reserve_end(const struct state *state, const struct record *record,
                                  struct wf_error *err);
/* Before the record's events are applied: new accounts become findable, all are touched. */
void ledger_apply_begin(struct state *state, const struct record *record);
void ledger_apply(struct state *state, const struct record *record, const struct event *event);
/* After the last of them. */
void ledger_apply_end(struct state *state);

/* --- bytes: ledger_entity.c --- */

void ledger_encode_account(const struct account *account, struct bytes_buffer *value,
                           size_t *hashed);
enum wf_status ledger_load_account(struct state *state, enum entity_kind kind,
                                   struct bytes_view number, struct bytes_reader *reader,
                                   struct entity **out, struct wf_error *err);
void ledger_encode_reference(const struct reference *reference, struct bytes_buffer *value);
enum wf_status ledger_load_reference(struct state *state, struct bytes_view key,
                                     struct bytes_reader *reader, struct entity **out,
                                     struct wf_error *err);

/* --- invariants --- */

/* In words, what no account may be; NULL: nothing. Where a repair took records it may be so. */
const char *ledger_wrong_with(const struct account *account);
/* Each account on its own, and, where all are in memory, that each currency sums to zero.
 * WF_DIVERGENCE. */
enum wf_status ledger_check(const struct state *state, bool whole, struct wf_error *err);

#endif
