/* Blocks of a slab: they lie apart, keep what was written, and what they leave serves again. */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
#include "base/slab.h"
#include "tests/lib/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS = 2000, TURNS = 100000, SIZE_MAX_TRIED = 3 * SLAB_BLOCK_MAX };

struct block {
    uint8_t *at;
    size_t size;
    uint8_t mark;
};

static uint64_t next_number(uint64_t *seed) { /* xorshift64 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static void mark(struct block *block, uint8_t value) {
    block->mark = value;
    memset(block->at, value, block->size);
}

static void assert_marked(const struct block *block, size_t size) {
    for (size_t i = 0; i < size; i++)
        assert_int_equal(block->at[i], block->mark);
}

/* Each is full of its own mark: two that overlapped would show. */
static void test_blocks_keep_what_was_written(void **state) {
    (void)state;
    struct slab slab = {0};
    struct block *blocks = calloc(BLOCKS, sizeof *blocks);
    assert_non_null(blocks);
    uint64_t seed = 20261201;
    for (size_t turn = 0; turn < TURNS; turn++) {
        struct block *block = &blocks[next_number(&seed) % BLOCKS];
        size_t size = 1 + next_number(&seed) % SIZE_MAX_TRIED;
        uint8_t value = (uint8_t)next_number(&seed);
        if (block->at == NULL) {
            block->at = slab_alloc(&slab, size);
        } else if (value % 2 == 0) {
            assert_marked(block, block->size);
            slab_free(block->at);
            block->at = NULL;
            continue;
        } else {
            block->at = slab_realloc(block->at, size);
            assert_marked(block, size < block->size ? size : block->size);
        }
        assert_non_null(block->at);
        assert_int_equal((uintptr_t)block->at % 8, 0);
        assert_ptr_equal(slab_of(block->at), &slab);
        block->size = size;
        mark(block, value);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i].at != NULL)
            assert_marked(&blocks[i], blocks[i].size);
    for (size_t i = 0; i < BLOCKS; i++)
        slab_free(blocks[i].at);
    free(blocks);
    slab_empty(&slab);
    assert_int_equal(failing_memory_live(), 0);
}

static void under_asan_blocks_have_no_pages(void) {
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
}

static void test_a_block_that_grows_within_its_size_stays(void **state) {
    (void)state;
    under_asan_blocks_have_no_pages();
    struct slab slab = {0};
    uint8_t *block = slab_alloc(&slab, 33);
    assert_ptr_equal(slab_realloc(block, 48), block);
    assert_ptr_not_equal(slab_realloc(block, 49), block);
    slab_empty(&slab);
}

/* Workflows grow all together from one size to the next: the pages that they leave serve again. */
static void test_pages_that_are_left_serve_other_sizes(void **state) {
    (void)state;
    under_asan_blocks_have_no_pages();
    struct slab slab = {0};
    static void *blocks[BLOCKS];
    for (size_t size = SLAB_STEP; size <= 128; size += SLAB_STEP) {
        for (size_t i = 0; i < BLOCKS; i++)
            blocks[i] = slab_alloc(&slab, 128);
        for (size_t i = 0; i < BLOCKS; i++)
            slab_free(blocks[i]);
        failing_memory_arm(1, true);
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = slab_alloc(&slab, size);
            assert_non_null(blocks[i]);
        }
        assert_false(failing_memory_disarm());
        for (size_t i = 0; i < BLOCKS; i++)
            slab_free(blocks[BLOCKS - 1 - i]);
    }
    slab_empty(&slab);
}

static void test_a_block_that_cannot_grow_stays_as_it_was(void **state) {
    (void)state;
    under_asan_blocks_have_no_pages();
    struct slab slab = {0};
    struct block block = {slab_alloc(&slab, 16), 16, 0};
    mark(&block, 7);
    failing_memory_arm(1, true);
    size_t taken = 0;
    while (taken < BLOCKS && slab_alloc(&slab, SLAB_BLOCK_MAX) != NULL)
        taken++; /* until all that was asked of malloc() is used */
    assert_true(taken < BLOCKS);
    assert_null(slab_realloc(block.at, SLAB_BLOCK_MAX));
    assert_true(failing_memory_disarm());
    assert_marked(&block, 16);
    slab_empty(&slab);
}

static void test_nothing_is_freed_as_nothing(void **state) {
    (void)state;
    slab_free(NULL);
    struct slab slab = {0};
    slab_empty(&slab);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_keep_what_was_written),
        cmocka_unit_test(test_a_block_that_grows_within_its_size_stays),
        cmocka_unit_test(test_pages_that_are_left_serve_other_sizes),
        cmocka_unit_test(test_a_block_that_cannot_grow_stays_as_it_was),
        cmocka_unit_test(test_nothing_is_freed_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
