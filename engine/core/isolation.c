/* Validation at commit: first committer wins, reads and predicates as they were. */
#include "engine/core/isolation.h"

#include "engine/core/decision.h"
#include "engine/core/ledger.h"
#include "engine/core/reference.h"
#include "engine/core/text.h"

#include <inttypes.h>
#include <string.h>

bool account_matches(const struct account_match *match, const struct account *account) {
    return !account_is_internal(account) &&
           strncmp(account->number, match->prefix, strlen(match->prefix)) == 0 &&
           (match->type[0] == '\0' || strcmp(account->type, match->type) == 0) &&
           (match->currency == NULL || account->currency == match->currency) &&
           (match->status == 0 || account->status == match->status) &&
           account->balance >= match->balance_min && account->balance <= match->balance_max;
}

static bool conflict(struct decision *decision, const char *what, struct bytes_view name,
                     uint64_t lsn, uint64_t snapshot_lsn) {
    decision_fail(decision, WF_CONFLICT,
                  "conflict: %s %.*s was changed in record %" PRIu64
                  ", after this transaction's snapshot of record %" PRIu64
                  "; nothing was done, begin again",
                  what, TEXT_ARGS(name), lsn, snapshot_lsn);
    return false;
}

static bool seen_is_there(const struct state *state, const struct transaction_terms *terms,
                          struct decision *decision) {
    for (size_t i = 0; i < terms->seen_count; i++) {
        const struct account_seen *seen = &terms->seen[i];
        const struct account *account = state_account(state, seen->number);
        uint64_t lsn = account == NULL ? 0 : account->lsn;
        if (lsn != seen->lsn)
            return conflict(decision, "account", seen->number, lsn, terms->snapshot_lsn);
    }
    return true;
}

static bool matches_hold(const struct state *state, const struct transaction_terms *terms,
                         struct decision *decision) {
    for (size_t i = 0; i < terms->change_count; i++) {
        const struct account_change *change = &terms->changes[i];
        const struct account *now = state_account(state, change->number);
        for (size_t j = 0; j < terms->match_count; j++) {
            bool was = change->was != NULL && account_matches(&terms->matches[j], change->was);
            bool is = now != NULL && account_matches(&terms->matches[j], now);
            if (was || is)
                return conflict(decision, "a list or count was of accounts among which",
                                change->number, now == NULL ? 0 : now->lsn, terms->snapshot_lsn);
        }
    }
    return true;
}

static bool asks_for(const struct operation *operation, enum rule rule) {
    for (size_t i = 0; i < operation->rule_count; i++)
        if (text_equal(operation->rules[i], rule_name(rule)))
            return true;
    return false;
}

/* Would the operation look at it? Names that are not given may mean any. */
static bool looks_at(const struct operation *operation, const struct reference *reference) {
    switch (reference->kind) {
    case REFERENCE_RATE:
        return text_same(operation->currency, reference->name);
    case REFERENCE_INSTRUMENT:
    case REFERENCE_CALENDAR:
        return asks_for(operation, RULE_MARKET_HOURS) ||
               asks_for(operation, RULE_INSTRUMENT_AVAILABLE);
    case REFERENCE_FEE_RULE:
        return asks_for(operation, RULE_SERVICE_FEE_RULES);
    }
    return true;
}

bool operation_looks_at_references(const struct operation *operation) {
    return text_equal(operation->type, operation_kind_name(OPERATION_CURRENCY_EXCHANGE)) ||
           asks_for(operation, RULE_MARKET_HOURS) ||
           asks_for(operation, RULE_INSTRUMENT_AVAILABLE) ||
           asks_for(operation, RULE_SERVICE_FEE_RULES);
}

/* Reference data has no old versions: it must not have changed. */
static bool references_hold(const struct state *state, const struct command *command,
                            struct decision *decision) {
    const struct transaction_terms *terms = command->as.account_transact.terms;
    uint64_t snapshot_lsn = terms->snapshot_lsn;
    const struct operation *operations = command->as.account_transact.operations;
    size_t at = 0;
    for (const struct reference *r; (r = table_next(&state->references, &at)) != NULL;) {
        for (size_t i = 0; r->lsn > snapshot_lsn && i < command->as.account_transact.count; i++)
            if (terms->references || looks_at(&operations[i], r))
                return conflict(decision, reference_kind_name(r->kind), r->name, r->lsn,
                                snapshot_lsn);
    }
    return true;
}

bool isolation_holds_before(const struct state *state, const struct command *command,
                            struct decision *decision) {
    const struct transaction_terms *terms = command->as.account_transact.terms;
    return terms == NULL ||
           (seen_is_there(state, terms, decision) && matches_hold(state, terms, decision) &&
            references_hold(state, command, decision));
}

/* Postings to the bank's own accounts only add, and no rule looks at them: they never conflict. */
bool isolation_holds_after(const struct command *command, struct decision *decision) {
    const struct transaction_terms *terms = command->as.account_transact.terms;
    for (size_t i = 0; terms != NULL && i < decision->touch_count; i++) {
        const struct account *account = decision->lines[i].account;
        if (account != NULL && !account_is_internal(account) && account->lsn > terms->snapshot_lsn)
            return conflict(decision, "account", decision->touches[i].name, account->lsn,
                            terms->snapshot_lsn);
    }
    return true;
}
