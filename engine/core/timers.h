/* Workflows in order of their earliest deadline, and accounts in order of when a hold expires
 * first: a heap of each. Those in memory only; the shell knows where the others stand.
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

struct account;
struct workflow;

/* Of a place in the heap: four share a cache line, and it is half as deep as with two. */
enum { TIMERS_CHILDREN = 4 };

enum timers_of {
    TIMERS_OF_STAGES = 0, /* workflows by their earliest deadline */
    TIMERS_OF_TASKS,      /* by when a task may be claimed */
    TIMERS_OF_HOLDS,      /* accounts by when their first hold expires */
};

struct timer {
    int64_t due_ms;
    union {
        struct workflow *workflow;
        struct account *account; /* TIMERS_OF_HOLDS */
    };
};

/* Ordered by (lower bound of the deadline, id). Zeroed memory is an empty one, of stages. */
struct timers {
    struct timer *heap;
    size_t count, capacity;
    enum timers_of of;
};

void timers_deinit(struct timers *timers);
/* Room for one more, for so many more. False: no memory. */
bool timers_reserve(struct timers *timers);
bool timers_reserve_many(struct timers *timers, size_t count);
/* What a timer's owner stands under here, as it is now; 0: it does not. */
int64_t timers_due_ms(const struct timers *timers, const struct timer *timer);
/* The workflow's deadlines have changed. Room must have been reserved. */
void timers_follow(struct timers *timers, struct workflow *workflow);
void timers_follow_account(struct timers *timers, struct account *account); /* likewise */
/* Take it out, if it is there. */
void timers_remove(struct timers *timers, struct workflow *workflow);
void timers_remove_account(struct timers *timers, struct account *account);
/* The earliest deadline of all; NULL: none. */
const struct timer *timers_first(struct timers *timers);
/* No deadline is earlier; INT64_MAX: there is none. */
int64_t timers_bound_ms(const struct timers *timers);
size_t timers_memory(const struct timers *timers); /* bytes */

#endif
