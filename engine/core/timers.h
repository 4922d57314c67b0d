/* Workflows in order of their earliest deadline: a heap. Those in memory only; the shell knows
 * where the others stand.
 *
 * Nearly every stage is done before it is due, and with it the workflow's deadline moves to a later
 * time. A workflow whose deadline moved so, or went away, keeps its old place, which is a lower
 * bound, until it is the first: then it is put right. So a command costs nothing here, and a
 * workflow O(log n) when a time comes that once was its deadline. */
#ifndef CORE_TIMERS_H
#define CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct workflow;

/* Of a place in the heap: four share a cache line, and it is half as deep as with two. */
enum { TIMERS_CHILDREN = 4 };

struct timer {
    int64_t due_ms;
    struct workflow *workflow;
};

/* Ordered by (lower bound of the deadline, id). Zeroed memory is an empty one; `tasks`: by when a
 * task may be claimed in place of the deadline. */
struct timers {
    struct timer *heap;
    size_t count, capacity;
    bool tasks;
};

void timers_deinit(struct timers *timers);
/* Room for one more. False: no memory. */
bool timers_reserve(struct timers *timers);
/* What the workflow stands under here; 0: it does not. */
int64_t timers_due_ms(const struct timers *timers, const struct workflow *workflow);
/* The workflow's deadlines have changed. Room must have been reserved. */
void timers_follow(struct timers *timers, struct workflow *workflow);
/* Take it out, if it is there. */
void timers_remove(struct timers *timers, struct workflow *workflow);
/* The earliest deadline of all; NULL: none. */
const struct timer *timers_first(struct timers *timers);
/* No deadline is earlier; INT64_MAX: there is none. */
int64_t timers_bound_ms(const struct timers *timers);
size_t timers_memory(const struct timers *timers); /* bytes */

#endif
