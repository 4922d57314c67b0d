/* The store as a whole: its beginning, its clock, and the note of a repaired log. */
#ifndef CORE_CLOCK_H
#define CORE_CLOCK_H

#include "engine/core/decide.h"

/* max(seen, now), or the test clock's reading (after an advance: the new one). */
int64_t clock_record_time(const struct state *state, const struct command *command);

void clock_decide_create(const struct state *state, const struct command *command,
                         struct decision *decision);
void clock_decide_advance(const struct state *state, const struct command *command,
                          struct decision *decision);
void clock_decide_jump(const struct command *command, struct decision *decision);
void clock_decide_repair(const struct command *command, struct decision *decision);

/* Store-created, clock and log-repaired events; needs nothing reserved. The store was
 * touched already. */
void clock_apply(struct state *state, const struct event *event);

#endif
