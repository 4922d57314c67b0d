#include "engine/core/timers.h"

#include "engine/core/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void timers_deinit(struct timers *timers) {
    free(timers->heap);
    *timers = (struct timers){.of = timers->of};
}

bool timers_reserve(struct timers *timers) {
    return timers_reserve_many(timers, 1);
}

bool timers_reserve_many(struct timers *timers, size_t count) {
    if (timers->count + count <= timers->capacity)
        return true;
    size_t capacity = timers->capacity == 0 ? FIRST_CAPACITY : timers->capacity * 2;
    while (capacity < timers->count + count)
        capacity *= 2;
    struct timer *heap = realloc(timers->heap, capacity * sizeof *heap);
    if (heap == NULL)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

static struct bytes_view id_of(const struct timers *timers, const struct timer *timer) {
    if (timers->of == TIMERS_OF_HOLDS)
        return (struct bytes_view){(const uint8_t *)timer->account->number,
                                   timer->account->number_size};
    return (struct bytes_view){(const uint8_t *)timer->workflow->id, timer->workflow->id_size};
}

static bool before(const struct timers *timers, const struct timer *one,
                   const struct timer *other) {
    if (one->due_ms != other->due_ms)
        return one->due_ms < other->due_ms;
    struct bytes_view a = id_of(timers, one), b = id_of(timers, other);
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order != 0 ? order < 0 : a.size < b.size;
}

/* Where its owner keeps its place in this heap. */
static uint32_t *place_of(const struct timers *timers, const struct timer *timer) {
    if (timers->of == TIMERS_OF_HOLDS)
        return &timer->account->timer_at;
    return timers->of == TIMERS_OF_TASKS ? &timer->workflow->task_at : &timer->workflow->timer_at;
}

static void put(struct timers *timers, size_t at, struct timer timer) {
    timers->heap[at] = timer;
    *place_of(timers, &timer) = (uint32_t)at + 1;
}

/* Find the place of `timer` from the empty one at `at`, upwards and then downwards. */
static void sift(struct timers *timers, size_t at, struct timer timer) {
    struct timer *heap = timers->heap;
    while (at > 0 && before(timers, &timer, &heap[(at - 1) / TIMERS_CHILDREN])) {
        put(timers, at, heap[(at - 1) / TIMERS_CHILDREN]);
        at = (at - 1) / TIMERS_CHILDREN;
    }
    for (;;) {
        size_t first = at * TIMERS_CHILDREN + 1, best = first;
        if (first >= timers->count)
            break;
        for (size_t i = first + 1; i < first + TIMERS_CHILDREN && i < timers->count; i++)
            if (before(timers, &heap[i], &heap[best]))
                best = i;
        if (!before(timers, &heap[best], &timer))
            break;
        put(timers, at, heap[best]);
        at = best;
    }
    put(timers, at, timer);
}

static void take_out(struct timers *timers, const struct timer *timer) {
    uint32_t *place = place_of(timers, timer);
    if (*place == 0)
        return;
    size_t at = *place - 1;
    *place = 0;
    struct timer last = timers->heap[--timers->count];
    if (at < timers->count)
        sift(timers, at, last);
}

void timers_remove(struct timers *timers, struct workflow *workflow) {
    take_out(timers, &(struct timer){.workflow = workflow});
}

void timers_remove_account(struct timers *timers, struct account *account) {
    take_out(timers, &(struct timer){.account = account});
}

int64_t timers_due_ms(const struct timers *timers, const struct timer *timer) {
    unsigned stage;
    if (timers->of == TIMERS_OF_HOLDS)
        return account_due(timer->account);
    return timers->of == TIMERS_OF_TASKS ? workflow_task_due(timer->workflow)
                                         : workflow_due(timer->workflow, &stage);
}

static void follow(struct timers *timers, struct timer timer) {
    timer.due_ms = timers_due_ms(timers, &timer);
    if (timer.due_ms == 0)
        return;
    const uint32_t *place = place_of(timers, &timer);
    if (*place == 0) {
        assert(timers->count < timers->capacity);
        sift(timers, timers->count++, timer);
    } else if (timer.due_ms < timers->heap[*place - 1].due_ms) {
        sift(timers, *place - 1, timer);
    }
}

void timers_follow(struct timers *timers, struct workflow *workflow) {
    follow(timers, (struct timer){.workflow = workflow});
}

void timers_follow_account(struct timers *timers, struct account *account) {
    follow(timers, (struct timer){.account = account});
}

const struct timer *timers_first(struct timers *timers) {
    while (timers->count > 0) {
        struct timer first = timers->heap[0];
        int64_t due_ms = timers_due_ms(timers, &first);
        if (due_ms == first.due_ms)
            return &timers->heap[0];
        if (due_ms == 0) {
            take_out(timers, &first);
            continue;
        }
        first.due_ms = due_ms;
        sift(timers, 0, first);
    }
    return NULL;
}

int64_t timers_bound_ms(const struct timers *timers) {
    return timers->count == 0 ? INT64_MAX : timers->heap[0].due_ms;
}

size_t timers_memory(const struct timers *timers) {
    return timers->capacity * sizeof *timers->heap;
}
