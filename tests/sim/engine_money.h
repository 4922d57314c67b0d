/* Commands about accounts: opened, frozen, and transactions of several operations that succeed or
 * fail as one, on their own or with a stage of a loan. */
#ifndef TESTS_SIM_ENGINE_MONEY_H
#define TESTS_SIM_ENGINE_MONEY_H

#include "tests/sim/engine_command.h"

/* Fill in the members of such a command. */
void money_set(struct command_text *text, const struct store_command *command);
/* The operations of a submission, of which there may be none. */
void money_set_of_stage(struct command_text *text, const struct store_command *command);
/* Some command that makes sense now and then; refusals are on record too. */
struct store_command money_some(struct store_run *run);
/* One of these, or one about a loan: its stages move money, and it goes back with them. */
struct store_command money_some_of_stages(struct store_run *run);
void money_open_accounts(struct store_run *run);
/* All balances again, from the postings of the log. */
void money_check(struct store_run *run);

#endif
