/* What holds of all accounts that are in memory. */
#include "engine/core/ledger.h"

#include <inttypes.h>
#include <string.h>

__extension__ typedef __int128 wide;

const char *ledger_wrong_with(const struct account *account) {
    if (account_status_name(account->status) == NULL)
        return "its status is unknown";
    if (account->version == 0 || account->lsn < account->opened_lsn ||
        account->history.lsn < account->lsn)
        return "its LSNs are out of order";
    if (account_is_internal(account) != (strchr(account->number, '/') != NULL))
        return "its number is of another kind of account";
    if (account_is_loan(account) && account->balance > 0)
        return "it is a loan, and its balance is above zero";
    if (account->status == ACCOUNT_CLOSED && account->balance != 0)
        return "it is closed, and not empty";
    for (size_t i = 0; i < account->hold_count; i++)
        if (account->holds[i].amount <= 0)
            return "a hold is of no amount";
    /* Holds that expired count as long as they stand here, and did when they were placed. */
    if (account->minimum != ACCOUNT_NO_MINIMUM && account->balance < account->minimum)
        return "its balance is below its minimum";
    return NULL;
}

struct sums {
    const struct currency *currencies[128];
    wide sums[128];
    size_t count;
};

static void add(struct sums *sums, const struct account *account) {
    size_t i = 0;
    while (i < sums->count && sums->currencies[i] != account->currency)
        i++;
    if (i == sizeof sums->sums / sizeof sums->sums[0])
        return;
    if (i == sums->count) {
        sums->currencies[sums->count++] = account->currency;
        sums->sums[i] = 0;
    }
    sums->sums[i] += account->balance;
}

enum wf_status ledger_check(const struct state *state, bool whole, struct wf_error *err) {
    bool repaired = state->after_loss || state->store.repairs > 0;
    struct sums sums = {.count = 0};
    uint64_t customers = 0;
    size_t at = 0;
    for (const struct account *a; (a = table_next(&state->accounts, &at)) != NULL;) {
        const char *wrong = repaired ? NULL : ledger_wrong_with(a);
        if (wrong != NULL)
            return error_set(err, WF_DIVERGENCE, "account %s: %s", a->number, wrong);
        customers += !account_is_internal(a);
        add(&sums, a);
    }
    if (whole ? customers != state->store.accounts : customers > state->store.accounts)
        return error_set(err, WF_DIVERGENCE,
                         "%" PRIu64 " accounts are there, and the store counts %" PRIu64, customers,
                         state->store.accounts);
    for (size_t i = 0; whole && i < sums.count; i++)
        if (sums.sums[i] != 0)
            return error_set(err, WF_DIVERGENCE, "the balances in %s do not sum to zero",
                             sums.currencies[i]->code);
    return WF_OK;
}
