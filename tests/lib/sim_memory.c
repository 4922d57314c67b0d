#include "tests/lib/sim_memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_name {
    atomic_uint owners;
    char text[];
};

static void *check(void *memory) {
    if (memory == NULL) {
        fputs("simulated disk: out of memory\n", stderr);
        abort();
    }
    return memory;
}

void *sim_allocate(size_t count, size_t size) {
    return count == 0 ? NULL : check(calloc(count, size));
}

void *sim_grow(void *array, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity) {
        return array;
    }
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    return check(realloc(array, *capacity * size));
}

uint64_t sim_random_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t value = *state;
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint64_t sim_random_between(uint64_t *state, uint64_t from, uint64_t to) {
    return from + sim_random_next(state) % (to - from + 1);
}

uint64_t sim_random_mix(uint64_t a, uint64_t b) {
    uint64_t state = a;
    state = sim_random_next(&state) ^ b;
    return sim_random_next(&state);
}

struct sim_name *sim_name_make(const char *text, size_t size) {
    struct sim_name *name = sim_allocate(1, sizeof *name + size + 1);
    atomic_init(&name->owners, 1);
    memcpy(name->text, text, size);
    return name;
}

struct sim_name *sim_name_share(struct sim_name *name) {
    if (name != NULL) {
        atomic_fetch_add_explicit(&name->owners, 1, memory_order_relaxed);
    }
    return name;
}

void sim_name_release(struct sim_name *name) {
    if (name != NULL && atomic_fetch_sub_explicit(&name->owners, 1, memory_order_acq_rel) == 1) {
        free(name);
    }
}

const char *sim_name_text(const struct sim_name *name) {
    return name == NULL ? "" : name->text;
}
