/* Workflows in order of their earliest deadline: a heap, so that to set, to move and to take one
 * out costs O(log n), and to look at the first nothing. Those in memory only; the shell knows where
 * the others stand. */
#ifndef CORE_TIMERS_H
#define CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workflow;

struct timer {
    int64_t due_ms;
    struct workflow *workflow;
};

/* Ordered by (deadline, id). Zeroed memory is an empty one; `tasks`: by when a task may be claimed
 * in place of the deadline. */
struct timers {
    struct timer *heap;
    size_t count, capacity;
    bool tasks;
};

void timers_deinit(struct timers *timers);
/* Room for one more. False: no memory. */
bool timers_reserve(struct timers *timers);
/* Put the workflow where its deadlines say, or take it out where it has none. Room must have been
 * reserved. */
void timers_follow(struct timers *timers, struct workflow *workflow);
/* Take it out, if it is there. */
void timers_remove(struct timers *timers, struct workflow *workflow);
const struct timer *timers_first(const struct timers *timers); /* NULL: none */
size_t timers_memory(const struct timers *timers);             /* bytes */

#endif
