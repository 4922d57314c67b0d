#include "tests/lib/failing_memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Linked in whole only where a program wraps the allocator: elsewhere nobody calls these, and the
 * archive leaves this file out. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void __wrap_free(void *block);

enum { SLOTS = 1 << 20 };

static struct {
    pthread_mutex_t lock;
    uint64_t countdown; /* 0: not armed */
    bool lasting;
    bool refused;
    size_t live;
    const void *blocks[SLOTS]; /* a hash set of those that are allocated; open addressing */
} memory = {.lock = PTHREAD_MUTEX_INITIALIZER};

void failing_memory_arm(uint64_t nth, bool lasting) {
    pthread_mutex_lock(&memory.lock);
    memory.countdown = nth;
    memory.lasting = lasting;
    memory.refused = false;
    pthread_mutex_unlock(&memory.lock);
}

bool failing_memory_disarm(void) {
    pthread_mutex_lock(&memory.lock);
    bool refused = memory.refused;
    memory.countdown = 0;
    memory.refused = false;
    pthread_mutex_unlock(&memory.lock);
    return refused;
}

size_t failing_memory_live(void) {
    pthread_mutex_lock(&memory.lock);
    size_t live = memory.live;
    pthread_mutex_unlock(&memory.lock);
    return live;
}

/* ---- under `lock` ---- */

static size_t home_of(const void *block) {
    return (size_t)(((uintptr_t)block >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 44);
}

static void note(const void *block) {
    assert(memory.live < SLOTS / 2);
    size_t at = home_of(block);
    while (memory.blocks[at] != NULL)
        at = (at + 1) % SLOTS;
    memory.blocks[at] = block;
    memory.live++;
}

/* A block that a library allocated is not there. */
static void forget(const void *block) {
    size_t at = home_of(block);
    while (memory.blocks[at] != block) {
        if (memory.blocks[at] == NULL)
            return;
        at = (at + 1) % SLOTS;
    }
    memory.live--;
    memory.blocks[at] = NULL;
    /* Those behind it may have been pushed on by it. */
    for (size_t next = (at + 1) % SLOTS; memory.blocks[next] != NULL; next = (next + 1) % SLOTS) {
        const void *moved = memory.blocks[next];
        memory.blocks[next] = NULL;
        memory.live--;
        note(moved);
    }
}

static bool refuse(void) {
    if (memory.countdown == 0 || --memory.countdown > 0)
        return false;
    memory.countdown = memory.lasting ? 1 : 0;
    memory.refused = true;
    return true;
}

/* ---- the allocator ---- */

void *__wrap_calloc(size_t count, size_t size) {
    pthread_mutex_lock(&memory.lock);
    void *block = refuse() ? NULL : __real_calloc(count, size);
    if (block != NULL)
        note(block);
    pthread_mutex_unlock(&memory.lock);
    return block;
}

void *__wrap_malloc(size_t size) {
    pthread_mutex_lock(&memory.lock);
    void *block = refuse() ? NULL : __real_malloc(size);
    if (block != NULL)
        note(block);
    pthread_mutex_unlock(&memory.lock);
    return block;
}

void *__wrap_realloc(void *block, size_t size) {
    pthread_mutex_lock(&memory.lock);
    void *grown = NULL;
    if (!refuse()) {
        if (block != NULL)
            forget(block);
        grown = __real_realloc(block, size);
        const void *kept = grown != NULL || size == 0 ? grown : block;
        if (kept != NULL)
            note(kept);
    }
    pthread_mutex_unlock(&memory.lock);
    return grown;
}

static char *copy_text(const char *text, size_t size) {
    char *copy = __wrap_malloc(size + 1);
    if (copy == NULL)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *__wrap_strdup(const char *text) {
    return copy_text(text, strlen(text));
}

char *__wrap_strndup(const char *text, size_t size) {
    return copy_text(text, strnlen(text, size));
}

void __wrap_free(void *block) {
    if (block == NULL)
        return;
    pthread_mutex_lock(&memory.lock);
    forget(block);
    __real_free(block);
    pthread_mutex_unlock(&memory.lock);
}
