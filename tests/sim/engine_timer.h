/* Stages that time out, on a clock of the host that goes on from command to command. A timer fires
 * by a tick at its very deadline, so that one tick makes one record; two never have the same
 * deadline, for the milliseconds of each are those of the command that began the stage. */
#ifndef TESTS_SIM_ENGINE_TIMER_H
#define TESTS_SIM_ENGINE_TIMER_H

#include "tests/sim/engine_model.h"

/* Before the store is made. */
void timer_begin(struct store_run *run);
/* The clock as it was then: before all is done once more. */
void timer_restart(void);
/* Some command, later than the one before it; or, where a deadline comes first, and now and then
 * else, the tick of that. */
struct store_command timer_some(struct store_run *run);
/* Let what is due fire, which a crash may have kept from being on record. Nothing on another clock.
 */
void timer_settle(struct store_run *run);
/* The clock as the command has it; left alone where it has none. */
void timer_set_clock(const struct store_command *command);

#endif
