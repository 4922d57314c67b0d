/* A bank in a core_store: commands about accounts in one line each, and what the accounts came to.
 * Fails the test where an account is not there. */
#ifndef TESTS_CORE_BANK_H
#define TESTS_CORE_BANK_H

#include "engine/core/account.h"
#include "engine/core/ledger.h"
#include "tests/lib/core_store.h"

/* What an operation's views point into. */
struct bank_written {
    char text[400];
    struct bytes_view rules[OPERATION_RULES_MAX];
};
/* "transfer from=A to=B amount=1 currency=USD rules=x,y", as operations are called below. */
struct operation bank_parse(const char *text, struct bank_written *written);
enum wf_status bank_transact(struct core_store *store, const char *const *texts, size_t count);
enum wf_status bank_one(struct core_store *store, const char *text);
/* A step with operations; `fields` as core_submit() has them. */
enum wf_status bank_submit(struct core_store *store, const char *id, const char *step,
                           const char *fields, const char *const *texts, size_t count);
enum wf_status bank_open_account(struct core_store *store, const char *number, const char *type,
                                 const char *currency, const char *balance, const char *minimum);
enum wf_status bank_set_status(struct core_store *store, enum command_kind kind,
                               const char *number);
enum wf_status bank_set_reference(struct core_store *store, enum command_kind kind,
                                  const char *name, const char *fields);
const struct account *bank_account(struct core_store *store, const char *number);
/* It has this balance. */
void bank_holds(struct core_store *store, const char *number, const char *balance);
/* The last refusal has these words. */
void bank_says(const struct core_store *store, const char *words);
/* The bank of the feature: four accounts, a rate, a market, a fee rule; Monday at 15:00. */
struct core_store *bank_make(void);
int bank_setup(void **state); /* for cmocka */

#endif
