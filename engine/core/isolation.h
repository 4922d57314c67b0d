/* What a transaction saw, compared with what is there when it is decided. Which of it must be as it
 * was is the shell's choice, by the isolation level; the answer is a conflict or none. */
#ifndef CORE_ISOLATION_H
#define CORE_ISOLATION_H

#include "engine/core/account.h"
#include "engine/core/decide.h"

/* An account that was read. */
struct account_seen {
    struct bytes_view number;
    uint64_t lsn; /* of the record that had changed it last; 0: it was not there */
};

/* Which accounts a list or a count asked for: customers' accounts that fit all of it. */
struct account_match {
    char prefix[ACCOUNT_NUMBER_MAX + 1]; /* of the number; "": any */
    char type[ACCOUNT_TYPE_MAX + 1];     /* "": any */
    const struct currency *currency;     /* NULL: any */
    enum account_status status;          /* 0: any */
    int64_t balance_min, balance_max;    /* both included */
};

/* An account that changed after the transaction's snapshot. */
struct account_change {
    struct bytes_view number;
    const struct account *was; /* as of the snapshot; NULL: it was not there */
};

/* What must hold for the transaction to be committed. */
struct transaction_terms {
    uint64_t snapshot_lsn; /* what the operations write was not changed by a later record, nor what
                              their rules look at */
    const struct account_seen *seen; /* these are as they were */
    size_t seen_count;
    const struct account_match *matches; /* neither fitted or fits any of the accounts … */
    size_t match_count;
    const struct account_change *changes; /* … that changed since the snapshot */
    size_t change_count;
    bool references; /* no reference data at all was changed by a later record */
};

/* Do rules look at reference data for it? */
bool operation_looks_at_references(const struct operation *operation);
bool account_matches(const struct account_match *match, const struct account *account);

/* Before and after the operations are decided. False: WF_CONFLICT, which names the account. */
bool isolation_holds_before(const struct state *state, const struct command *command,
                            struct decision *decision);
bool isolation_holds_after(const struct command *command, struct decision *decision);

#endif
