#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct item {
    uint8_t key[16];
    size_t key_size;
    bool present; /* what the model says */
    bool seen;
};

static struct table_key item_key(const void *entry) {
    const struct item *item = entry;
    return (struct table_key){item->key, item->key_size};
}

/* Items with the numbers 0, 1, 2, … as keys of eight bytes. */
static struct item *make_items(size_t count) {
    struct item *items = calloc(count, sizeof *items);
    assert_non_null(items);
    for (uint64_t i = 0; i < count; i++) {
        memcpy(items[i].key, &i, sizeof i);
        items[i].key_size = sizeof i;
    }
    return items;
}

static void insert(struct table *table, struct item *item) {
    assert_true(table_reserve(table));
    table_insert(table, item);
    item->present = true;
}

static void *find(const struct table *table, const struct item *item) {
    return table_find(table, item->key, item->key_size);
}

static void assert_same_as_model(const struct table *table, struct item *items, size_t count) {
    size_t present = 0;
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(find(table, &items[i]), items[i].present ? &items[i] : NULL);
        present += items[i].present;
        items[i].seen = false;
    }
    assert_int_equal(table_count(table), present);
    size_t at = 0;
    size_t visited = 0;
    for (struct item *item = table_next(table, &at); item != NULL; item = table_next(table, &at)) {
        assert_true(item->present);
        assert_false(item->seen);
        item->seen = true;
        visited++;
    }
    assert_int_equal(visited, present);
}

static void test_table_hash_is_xxh3(void **state) {
    (void)state;
    /* The published value for no bytes with seed 0: the hash must be the same on every machine. */
    assert_true(table_hash("", 0) == 0x2D06800538D394C2);
}

static void test_table_empty_finds_nothing(void **state) {
    (void)state;
    struct table table;
    table_init(&table, item_key);
    size_t at = 0;
    assert_null(table_find(&table, "a", 1));
    assert_null(table_remove(&table, "a", 1));
    assert_null(table_next(&table, &at));
    assert_int_equal(table_count(&table), 0);
    assert_int_equal(table_memory(&table), 0);
    table_deinit(&table);
}

static void test_table_tells_keys_of_different_size_apart(void **state) {
    (void)state;
    struct table table;
    table_init(&table, item_key);
    struct item items[3] = {
        {.key = "a\0"}, {.key = "a\0", .key_size = 1}, {.key = "a\0", .key_size = 2}};
    for (size_t i = 0; i < 3; i++)
        insert(&table, &items[i]);
    for (size_t i = 0; i < 3; i++)
        assert_ptr_equal(table_find(&table, "a\0", i), &items[i]);
    assert_null(table_find(&table, "a\0\0", 3));
    table_deinit(&table);
}

/* Keys made to collide in all 64 bits: two of sixteen bytes, and one of eight with the empty key.
 */
static void test_table_tells_keys_of_equal_hash_apart(void **state) {
    (void)state;
    static const struct table_key keys[] = {
        {"\xb9\x39\x42\xea\x7b\x73\x82\x67\xd5\x9f\x3d\x80\x5c\xf9\x75\xae", 16},
        {"\xb8\x1a\x07\x8d\xf2\xd8\x4f\x88\x3a\x52\x96\x09\x3b\xbc\x56\xaf", 16},
        {"", 0},
        {"\x69\x4a\xef\xbf\xbe\x31\x98\xbc", 8},
    };
    assert_true(table_hash(keys[0].data, 16) == table_hash(keys[1].data, 16));
    assert_true(table_hash(keys[2].data, 0) == table_hash(keys[3].data, 8));
    struct item items[4] = {0};
    struct table table;
    table_init(&table, item_key);
    for (size_t i = 0; i < 4; i++) {
        memcpy(items[i].key, keys[i].data, keys[i].size);
        items[i].key_size = keys[i].size;
        assert_null(find(&table, &items[i]));
        insert(&table, &items[i]);
    }
    assert_same_as_model(&table, items, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(table_remove(&table, keys[i].data, keys[i].size), &items[i]);
        items[i].present = false;
        assert_same_as_model(&table, items, 4);
    }
    table_deinit(&table);
}

/* Every state between two growths, looked at whole. */
static void test_table_keeps_every_entry_after_each_insert(void **state) {
    (void)state;
    enum { COUNT = 700 };
    struct item *items = make_items(COUNT);
    struct table table;
    table_init(&table, item_key);
    for (size_t i = 0; i < COUNT; i++) {
        insert(&table, &items[i]);
        assert_same_as_model(&table, items, COUNT);
    }
    table_deinit(&table);
    free(items);
}

/* Removal out of both arrays while the table grows, in every phase of the draining. */
static void test_table_removes_while_it_grows(void **state) {
    (void)state;
    enum { COUNT = 1500 };
    struct item *items = make_items(COUNT);
    for (size_t kept = 81; kept <= 161; kept += 1) { /* 80 fill 128 slots; draining takes 16 */
        struct table table;
        table_init(&table, item_key);
        for (size_t i = 0; i < COUNT; i++)
            items[i].present = false;
        for (size_t i = 0; i < kept; i++)
            insert(&table, &items[i]);
        for (size_t i = 0; i < kept; i += 2) {
            assert_ptr_equal(table_remove(&table, items[i].key, items[i].key_size), &items[i]);
            items[i].present = false;
        }
        assert_same_as_model(&table, items, COUNT);
        for (size_t i = kept; i < COUNT; i++)
            insert(&table, &items[i]);
        assert_same_as_model(&table, items, COUNT);
        table_deinit(&table);
    }
    free(items);
}

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* One random run: more inserts than removals first, then the other way round. */
static void run_random(uint64_t seed, size_t count, size_t steps) {
    struct item *items = make_items(count);
    struct table table;
    table_init(&table, item_key);
    for (size_t step = 0; step < steps; step++) {
        struct item *item = &items[next_random(&seed) % count];
        bool wants_insert = next_random(&seed) % 8 < (step < steps / 2 ? 6 : 2);
        assert_ptr_equal(find(&table, item), item->present ? item : NULL);
        if (wants_insert && !item->present) {
            insert(&table, item);
        } else if (!wants_insert) {
            void *removed = table_remove(&table, item->key, item->key_size);
            assert_ptr_equal(removed, item->present ? item : NULL);
            item->present = false;
        }
        if (step % (steps / 50) == 0)
            assert_same_as_model(&table, items, count);
    }
    assert_same_as_model(&table, items, count);
    table_deinit(&table);
    free(items);
}

static void test_table_behaves_like_a_naive_model(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        size_t count = (size_t)1 << (3 + seed % 10);
        print_message("seed %d, %zu keys\n", (int)seed, count);
        run_random(seed * 0x9E3779B97F4A7C15, count, 20 * count + 1000);
    }
}

/* The bound that keeps a single insert short: never more than two arrays, the old one gone soon. */
static void test_table_growth_ends_before_the_next_begins(void **state) {
    (void)state;
    enum { COUNT = 200000 };
    struct item *items = make_items(COUNT);
    struct table table;
    table_init(&table, item_key);
    size_t grown_at = 0;
    for (size_t i = 0; i < COUNT; i++) {
        bool was_growing = table.old.slots != NULL;
        size_t left = table.old_left;
        insert(&table, &items[i]);
        if (table.old.slots == NULL)
            continue;
        if (!was_growing)
            grown_at = i;
        else
            assert_int_equal(left - table.old_left, 8);
        assert_true(i - grown_at <= (table.old.mask + 1) / 8);
    }
    assert_true(table_memory(&table) <= (size_t)COUNT * 16 * 8 / 5 * 3);
    for (size_t i = 0; i < COUNT; i++)
        assert_ptr_equal(find(&table, &items[i]), &items[i]);
    table_deinit(&table);
    free(items);
}

/* Room for several at once, in every phase of the draining, also where it takes two doublings. */
static void test_table_reserves_room_for_many(void **state) {
    (void)state;
    enum { COUNT = 3000 };
    struct item *items = make_items(COUNT);
    for (size_t many = 2; many < 70; many += 7) {
        struct table table;
        table_init(&table, item_key);
        for (size_t i = 0; i + many <= COUNT; i += many) {
            assert_true(table_reserve_many(&table, many));
            for (size_t j = 0; j < many; j++) {
                table_insert(&table, &items[i + j]);
                items[i + j].present = true;
            }
        }
        assert_same_as_model(&table, items, COUNT);
        table_deinit(&table);
        for (size_t i = 0; i < COUNT; i++)
            items[i].present = false;
    }
    free(items);
}

static const void *fetched;
static size_t fetches;

static void note_fetch(const void *entry) {
    fetched = entry;
    fetches++;
}

static void test_table_has_the_entry_fetched_that_is_looked_for(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct item *items = make_items(COUNT + 1);
    struct table table;
    table_init(&table, item_key);
    table.fetch = note_fetch;
    size_t hinted = 0;
    for (size_t i = 0; i < COUNT; i++)
        insert(&table, &items[i]);
    for (size_t i = 0; i < COUNT; i++) {
        fetches = 0;
        assert_ptr_equal(find(&table, &items[i]), &items[i]);
        assert_int_equal(fetches, 0);
        assert_ptr_equal(table_find_cold(&table, items[i].key, items[i].key_size), &items[i]);
        assert_int_equal(fetches, 1);
        assert_ptr_equal(fetched, &items[i]);
        fetched = NULL;
        table_prefetch_entry(&table, items[i].key, items[i].key_size);
        assert_true(fetched == NULL || fetched == &items[i]);
        hinted += fetched != NULL;
    }
    assert_true(hinted > COUNT / 2); /* most stand in the first slot that is looked at */
    fetches = 0;
    assert_null(table_find_cold(&table, items[COUNT].key, items[COUNT].key_size));
    table_prefetch_entry(&table, items[COUNT].key, items[COUNT].key_size);
    assert_int_equal(fetches, 0);
    table_deinit(&table);
    free(items);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_hash_is_xxh3),
        cmocka_unit_test(test_table_empty_finds_nothing),
        cmocka_unit_test(test_table_tells_keys_of_different_size_apart),
        cmocka_unit_test(test_table_tells_keys_of_equal_hash_apart),
        cmocka_unit_test(test_table_keeps_every_entry_after_each_insert),
        cmocka_unit_test(test_table_removes_while_it_grows),
        cmocka_unit_test(test_table_behaves_like_a_naive_model),
        cmocka_unit_test(test_table_growth_ends_before_the_next_begins),
        cmocka_unit_test(test_table_reserves_room_for_many),
        cmocka_unit_test(test_table_has_the_entry_fetched_that_is_looked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
