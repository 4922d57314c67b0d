#include "base/slab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#define EACH_BY_ITSELF true /* so that the sanitizer sees where a block ends, and which leak */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EACH_BY_ITSELF true
#endif
#endif
#ifndef EACH_BY_ITSELF
#define EACH_BY_ITSELF false
#endif

/* The first chunk is small, each is twice as large as the one before, and the largest is what one
 * entry of the processor's table of huge pages spans: random access to many megabytes waits for
 * that table first. */
enum {
    PAGE_SIZE = 8 * 1024,
    CHUNK_SIZE_MIN = 64 * 1024,
    CHUNK_SIZE_MAX = 2 * 1024 * 1024,
};

struct slab_page {
    struct slab *slab;
    struct slab_page *next, *previous; /* in the list that it stands in */
    void *freed;                       /* blocks, each with the next one's address in it */
    uint32_t block_size;
    uint16_t used, untouched; /* blocks; the untouched ones are the last */
};
enum { HEADER_SIZE = (sizeof(struct slab_page) + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP };

struct slab_chunk {
    struct slab_chunk *next;
    size_t size;
};

static struct slab_page *page_of(const void *block) {
    return (struct slab_page *)((uintptr_t)block & ~(uintptr_t)(PAGE_SIZE - 1));
}

/* --- lists --- */

static void link_page(struct slab_page **list, struct slab_page *page) {
    page->previous = NULL;
    page->next = *list;
    if (*list != NULL)
        (*list)->previous = page;
    *list = page;
}

static void unlink_page(struct slab_page **list, struct slab_page *page) {
    if (page->previous != NULL)
        page->previous->next = page->next;
    else
        *list = page->next;
    if (page->next != NULL)
        page->next->previous = page->previous;
}

/* --- pages --- */

static bool add_chunk(struct slab *slab) {
    size_t size = slab->chunks == NULL ? CHUNK_SIZE_MIN : slab->chunks->size * 2;
    size = size < CHUNK_SIZE_MAX ? size : CHUNK_SIZE_MAX;
    struct slab_chunk *chunk = size < CHUNK_SIZE_MAX ? malloc(size) : aligned_alloc(size, size);
    if (chunk == NULL)
        return false;
    if (size == CHUNK_SIZE_MAX)
        (void)madvise(chunk, size, MADV_HUGEPAGE); /* where there are none, it goes on without */
    *chunk = (struct slab_chunk){slab->chunks, size};
    slab->chunks = chunk;
    /* Its pages begin at the first boundary behind the head. */
    slab->fresh = (uint8_t *)page_of((uint8_t *)(chunk + 1) + PAGE_SIZE - 1);
    slab->fresh_end = (uint8_t *)page_of((uint8_t *)chunk + size);
    return true;
}

static struct slab_page *take_page(struct slab *slab, uint32_t block_size) {
    struct slab_page *page = slab->empty;
    if (page != NULL) {
        unlink_page(&slab->empty, page);
    } else {
        if (slab->fresh == slab->fresh_end && !add_chunk(slab))
            return NULL;
        page = (struct slab_page *)(void *)slab->fresh;
        slab->fresh += PAGE_SIZE;
    }
    *page = (struct slab_page){
        .slab = slab,
        .block_size = block_size,
        .untouched = (uint16_t)((PAGE_SIZE - HEADER_SIZE) / block_size),
    };
    return page;
}

/* --- large blocks: the slab's address, then the block. Only they end in 8. --- */

static bool is_large(const void *block) {
    return (uintptr_t)block % SLAB_STEP != 0;
}

static struct slab **large_head(const void *block) {
    return (struct slab **)(uintptr_t)block - 1;
}

static void *place_large(struct slab *slab, struct slab **head, size_t size) {
    _Static_assert(sizeof *head == SLAB_STEP / 2, "it is what malloc() gives, and 8");
    head = size > SIZE_MAX - sizeof *head ? NULL : realloc(head, sizeof *head + size);
    if (head == NULL)
        return NULL;
    *head = slab;
    return head + 1;
}

/* --- blocks --- */

static struct slab_page **partial_of(struct slab *slab, size_t block_size) {
    return &slab->partial[block_size / SLAB_STEP - 1];
}

void *slab_alloc(struct slab *slab, size_t size) {
    if (size > SLAB_BLOCK_MAX || EACH_BY_ITSELF)
        return place_large(slab, NULL, size);
    uint32_t block_size = (uint32_t)((size + SLAB_STEP - 1) / SLAB_STEP * SLAB_STEP);
    struct slab_page **partial = partial_of(slab, block_size);
    struct slab_page *page = *partial;
    if (page == NULL) {
        page = take_page(slab, block_size);
        if (page == NULL)
            return NULL;
        link_page(partial, page);
    }
    void *block = page->freed;
    if (block != NULL) {
        memcpy(&page->freed, block, sizeof page->freed);
    } else {
        block = (uint8_t *)page + PAGE_SIZE - page->untouched * block_size;
        page->untouched--;
    }
    page->used++;
    if (page->freed == NULL && page->untouched == 0)
        unlink_page(partial, page);
    return block;
}

void slab_free(void *block) {
    if (block == NULL)
        return;
    if (is_large(block)) {
        free(large_head(block));
        return;
    }
    struct slab_page *page = page_of(block);
    struct slab *slab = page->slab;
    struct slab_page **partial = partial_of(slab, page->block_size);
    if (page->freed == NULL && page->untouched == 0)
        link_page(partial, page);
    memcpy(block, &page->freed, sizeof page->freed);
    page->freed = block;
    if (--page->used == 0) {
        unlink_page(partial, page);
        link_page(&slab->empty, page);
    }
}

struct slab *slab_of(const void *block) {
    return is_large(block) ? *large_head(block) : page_of(block)->slab;
}

void *slab_realloc(void *block, size_t size) {
    bool was_large = is_large(block);
    if (was_large && (size > SLAB_BLOCK_MAX || EACH_BY_ITSELF))
        return place_large(slab_of(block), large_head(block), size);
    size_t old = was_large ? size : page_of(block)->block_size; /* only its smaller part counts */
    if (!was_large && size <= old && size + SLAB_STEP > old)
        return block;
    void *moved = slab_alloc(slab_of(block), size);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, old < size ? old : size);
    slab_free(block);
    return moved;
}

void slab_empty(struct slab *slab) {
    for (struct slab_chunk *chunk = slab->chunks; chunk != NULL;) {
        struct slab_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
    *slab = (struct slab){0};
}
