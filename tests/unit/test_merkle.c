#include "wal/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <cmocka.h>

enum { LEAVES = 70 };

static struct bytes_view payload_of(uint64_t lsn) {
    static char text[32];
    int size = snprintf(text, sizeof text, "record %llu", (unsigned long long)lsn);
    return (struct bytes_view){(const uint8_t *)text, (size_t)size};
}

static void sha256(const void *data, size_t size, uint8_t out[WAL_HASH_SIZE]) {
    assert_int_equal(EVP_Digest(data, size, out, NULL, EVP_sha256(), NULL), 1);
}

/* The definition of RFC 9162, section 2.1.1, word for word, on the leaves [first, first + count).
 */
static void tree_hash(uint64_t first, uint64_t count, uint8_t out[WAL_HASH_SIZE]) {
    if (count == 0) {
        sha256("", 0, out);
        return;
    }
    uint8_t bytes[1 + 2 * WAL_HASH_SIZE];
    if (count == 1) {
        struct bytes_view payload = payload_of(first);
        bytes[0] = 0x00;
        bytes_store_u64(bytes + 1, first);
        memcpy(bytes + 9, payload.data, payload.size);
        sha256(bytes, 9 + payload.size, out);
        return;
    }
    uint64_t split = 1; /* the largest power of two smaller than count */
    while (2 * split < count)
        split *= 2;
    bytes[0] = 0x01;
    tree_hash(first, split, bytes + 1);
    tree_hash(first + split, count - split, bytes + 1 + WAL_HASH_SIZE);
    sha256(bytes, sizeof bytes, out);
}

static void test_wal_merkle_root_is_that_of_rfc_9162(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    struct wal_frontier frontier = {.count = 0};
    uint8_t root[WAL_HASH_SIZE];
    uint8_t expected[WAL_HASH_SIZE];
    for (uint64_t count = 0; count < LEAVES; count++) {
        assert_true(wal_frontier_root(&frontier, hasher, root));
        tree_hash(1, count, expected);
        assert_memory_equal(root, expected, WAL_HASH_SIZE);
        assert_true(wal_frontier_add(&frontier, hasher, count + 1, payload_of(count + 1)));
    }
    wal_hasher_destroy(hasher);
}

static void test_wal_merkle_frontier_copy_goes_on_alike(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    struct wal_frontier one = {.count = 0};
    struct wal_frontier two;
    uint8_t root_one[WAL_HASH_SIZE];
    uint8_t root_two[WAL_HASH_SIZE];
    memset(&two, 0xff, sizeof two);
    for (uint64_t lsn = 1; lsn <= 13; lsn++)
        assert_true(wal_frontier_add(&one, hasher, lsn, payload_of(lsn)));
    wal_frontier_copy(&two, &one);
    assert_true(wal_frontier_add(&one, hasher, 14, payload_of(14)));
    assert_true(wal_frontier_add(&two, hasher, 14, payload_of(14)));
    assert_true(wal_frontier_root(&one, hasher, root_one));
    assert_true(wal_frontier_root(&two, hasher, root_two));
    assert_memory_equal(root_one, root_two, WAL_HASH_SIZE);
    wal_hasher_destroy(hasher);
}

static void test_wal_merkle_leaf_depends_on_lsn_and_payload(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    uint8_t leaf[WAL_HASH_SIZE];
    uint8_t other[WAL_HASH_SIZE];
    assert_true(wal_merkle_leaf(hasher, 1, payload_of(1), leaf));
    assert_true(wal_merkle_leaf(hasher, 2, payload_of(1), other));
    assert_memory_not_equal(leaf, other, WAL_HASH_SIZE);
    assert_true(wal_merkle_leaf(hasher, 1, payload_of(2), other));
    assert_memory_not_equal(leaf, other, WAL_HASH_SIZE);
    wal_hasher_destroy(hasher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_merkle_root_is_that_of_rfc_9162),
        cmocka_unit_test(test_wal_merkle_frontier_copy_goes_on_alike),
        cmocka_unit_test(test_wal_merkle_leaf_depends_on_lsn_and_payload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
