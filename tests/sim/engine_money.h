/* Commands about accounts: opened, frozen, and transactions of several operations that succeed or
 * fail as one. */
#ifndef TESTS_SIM_ENGINE_MONEY_H
#define TESTS_SIM_ENGINE_MONEY_H

#include "tests/sim/engine_command.h"

/* Fill in the members of such a command. */
void money_set(struct command_text *text, const struct store_command *command);
/* Some command that makes sense now and then; refusals are on record too. */
struct store_command money_some(struct store_run *run);

#endif
