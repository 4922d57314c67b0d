#include "engine/core/timers.h"

#include "engine/core/state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void timers_deinit(struct timers *timers) {
    free(timers->heap);
    *timers = (struct timers){.tasks = timers->tasks};
}

bool timers_reserve(struct timers *timers) {
    if (timers->count < timers->capacity)
        return true;
    size_t capacity = timers->capacity == 0 ? FIRST_CAPACITY : timers->capacity * 2;
    struct timer *heap = realloc(timers->heap, capacity * sizeof *heap);
    if (heap == NULL)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

static bool before(const struct timer *one, const struct timer *other) {
    if (one->due_ms != other->due_ms)
        return one->due_ms < other->due_ms;
    const struct workflow *a = one->workflow, *b = other->workflow;
    int order = memcmp(a->id, b->id, a->id_size < b->id_size ? a->id_size : b->id_size);
    return order != 0 ? order < 0 : a->id_size < b->id_size;
}

/* Where the workflow keeps its place in this heap. */
static uint32_t *place_of(const struct timers *timers, struct workflow *workflow) {
    return timers->tasks ? &workflow->task_at : &workflow->timer_at;
}

static void put(struct timers *timers, size_t at, struct timer timer) {
    timers->heap[at] = timer;
    *place_of(timers, timer.workflow) = (uint32_t)at + 1;
}

/* Find the place of `timer` from the empty one at `at`, upwards and then downwards. */
static void sift(struct timers *timers, size_t at, struct timer timer) {
    struct timer *heap = timers->heap;
    while (at > 0 && before(&timer, &heap[(at - 1) / TIMERS_CHILDREN])) {
        put(timers, at, heap[(at - 1) / TIMERS_CHILDREN]);
        at = (at - 1) / TIMERS_CHILDREN;
    }
    for (;;) {
        size_t first = at * TIMERS_CHILDREN + 1, best = first;
        if (first >= timers->count)
            break;
        for (size_t i = first + 1; i < first + TIMERS_CHILDREN && i < timers->count; i++)
            if (before(&heap[i], &heap[best]))
                best = i;
        if (!before(&heap[best], &timer))
            break;
        put(timers, at, heap[best]);
        at = best;
    }
    put(timers, at, timer);
}

void timers_remove(struct timers *timers, struct workflow *workflow) {
    uint32_t *place = place_of(timers, workflow);
    if (*place == 0)
        return;
    size_t at = *place - 1;
    *place = 0;
    struct timer last = timers->heap[--timers->count];
    if (at < timers->count)
        sift(timers, at, last);
}

int64_t timers_due_ms(const struct timers *timers, const struct workflow *workflow) {
    unsigned stage;
    return timers->tasks ? workflow_task_due(workflow) : workflow_due(workflow, &stage);
}

void timers_follow(struct timers *timers, struct workflow *workflow) {
    struct timer timer = {timers_due_ms(timers, workflow), workflow};
    if (timer.due_ms == 0)
        return;
    const uint32_t *place = place_of(timers, workflow);
    if (*place == 0) {
        assert(timers->count < timers->capacity);
        sift(timers, timers->count++, timer);
    } else if (timer.due_ms < timers->heap[*place - 1].due_ms) {
        sift(timers, *place - 1, timer);
    }
}

const struct timer *timers_first(struct timers *timers) {
    while (timers->count > 0) {
        struct timer first = timers->heap[0];
        int64_t due_ms = timers_due_ms(timers, first.workflow);
        if (due_ms == first.due_ms)
            return &timers->heap[0];
        if (due_ms == 0)
            timers_remove(timers, first.workflow);
        else
            sift(timers, 0, (struct timer){due_ms, first.workflow});
    }
    return NULL;
}

int64_t timers_bound_ms(const struct timers *timers) {
    return timers->count == 0 ? INT64_MAX : timers->heap[0].due_ms;
}

size_t timers_memory(const struct timers *timers) {
    return timers->capacity * sizeof *timers->heap;
}
