/* The tables of commands, by subject: commands_*.c. Owns nothing; who looks for a command asks
 * cli.h. */
#ifndef TOOLS_WFCTL_COMMANDS_H
#define TOOLS_WFCTL_COMMANDS_H

#include "tools/wfctl/cli.h"

/* noun NULL after the last; all of a noun together, in one table. */
extern const struct verb commands_store[], commands_workflow[], commands_account[],
    commands_audit[];

/* Options of several tables: commands.c. */
extern const struct option_spec key_option, actor_option, reason_option, asker_option, as_of_option;

#endif
