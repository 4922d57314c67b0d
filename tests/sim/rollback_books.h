/* The engine's side of rollback_funds.h: its accounts opened, its operations written, its balances
 * beside the model's. */
#ifndef TESTS_ROLLBACK_BOOKS_H
#define TESTS_ROLLBACK_BOOKS_H

#include "engine/core/command.h"
#include "tests/lib/core_store.h"
#include "tests/sim/rollback_funds.h"

/* What operations point into. */
struct books_text {
    char amount[FUNDS_OPERATIONS_MAX][24];
    struct operation operations[FUNDS_OPERATIONS_MAX];
};

enum { BOOKS_SETUP = FUNDS_CUSTOMERS + 1, BOOKS_ENTITIES = FUNDS_ACCOUNTS + 1 };

/* Command `index` of those that make the bank: the accounts, and a rate. Borrows from `text`. */
struct command books_setup(unsigned index, struct books_text *text, struct field fields[2]);
const char *books_account_name(unsigned account); /* below FUNDS_ACCOUNTS */
/* text->operations says what is asked. */
void books_write(const struct funds_ask *asks, size_t count, struct books_text *text);
/* A line for each, to stderr. */
void books_tell(const struct funds_ask *asks, size_t count);
/* What differs; false: nothing. `words` has 200 bytes. */
bool books_differ(const struct core_store *store, const struct funds *funds, int64_t now_ms,
                  char words[200]);
/* The accounts that are there, and the rate. */
size_t books_entities(struct core_store *store, struct entity *out[BOOKS_ENTITIES]);

#endif
