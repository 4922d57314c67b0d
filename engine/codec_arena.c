/* The decoder's bump allocator. */
#include "engine/codec.h"

#include <stdlib.h>

enum { BLOCK_SIZE = 64 * 1024 };

struct codec_block {
    struct codec_block *next;
    size_t capacity;
    size_t used;
    _Alignas(16) uint8_t data[];
};

void codec_arena_init(struct codec_arena *arena) {
    *arena = (struct codec_arena){0};
}

static void free_blocks(struct codec_block *block) {
    while (block != NULL) {
        struct codec_block *next = block->next;
        free(block);
        block = next;
    }
}

void codec_arena_deinit(struct codec_arena *arena) {
    free_blocks(arena->blocks);
    free_blocks(arena->spare);
    *arena = (struct codec_arena){0};
}

void codec_arena_reset(struct codec_arena *arena) {
    struct codec_block *block = arena->blocks;
    if (block == NULL) {
        return;
    }
    /* Keep one block in use and the ordinary ones spare; let go what one huge record needed. */
    struct codec_block *rest = block->next;
    if (block->capacity > BLOCK_SIZE) {
        arena->blocks = NULL;
        free(block);
    } else {
        block->next = NULL;
        block->used = 0;
    }
    while (rest != NULL) {
        struct codec_block *next = rest->next;
        if (rest->capacity > BLOCK_SIZE) {
            free(rest);
        } else {
            rest->used = 0;
            rest->next = arena->spare;
            arena->spare = rest;
        }
        rest = next;
    }
}

static struct codec_block *take_block(struct codec_arena *arena, size_t size) {
    struct codec_block *block = arena->spare;
    if (block != NULL && size <= block->capacity) {
        arena->spare = block->next;
        return block;
    }
    size_t capacity = size > BLOCK_SIZE ? size : BLOCK_SIZE;
    block = malloc(sizeof(*block) + capacity);
    if (block != NULL) {
        block->capacity = capacity;
        block->used = 0;
    }
    return block;
}

void *codec_arena_alloc(struct codec_arena *arena, size_t size) {
    if (size > SIZE_MAX / 2) {
        return NULL;
    }
    size = (size + 15) & ~(size_t)15;
    struct codec_block *block = arena->blocks;
    if (block == NULL || block->capacity - block->used < size) {
        block = take_block(arena, size);
        if (block == NULL) {
            return NULL;
        }
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *at = block->data + block->used;
    block->used += size;
    return at;
}
