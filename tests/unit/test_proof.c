#include "wal/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <cmocka.h>

/* The tree of the Certificate Transparency project's published test vectors: eight leaves. */
static const struct {
    const char *bytes;
    size_t size;
    const char *root; /* of the tree that ends with this leaf */
} vectors[] = {
    {"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"\0", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"\x50\x51\x52\x53\x54\x55\x56\x57", 8,
     "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};
enum { VECTORS = sizeof vectors / sizeof vectors[0], LEAVES = 70 };

static void from_hex(const char *hex, uint8_t hash[WAL_HASH_SIZE]) {
    for (size_t i = 0; i < WAL_HASH_SIZE; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        hash[i] = (uint8_t)byte;
    }
}

static void leaf_of(size_t index, uint8_t leaf[WAL_HASH_SIZE]) {
    uint8_t bytes[32] = {0x00};
    memcpy(bytes + 1, vectors[index].bytes, vectors[index].size);
    assert_int_equal(EVP_Digest(bytes, 1 + vectors[index].size, leaf, NULL, EVP_sha256(), NULL), 1);
}

/* Leaves that are all different, for trees larger than the vectors'. */
static void any_leaf(uint64_t index, uint8_t leaf[WAL_HASH_SIZE]) {
    if (index < VECTORS) {
        leaf_of(index, leaf);
        return;
    }
    uint8_t bytes[9] = {0x00, (uint8_t)index};
    assert_int_equal(EVP_Digest(bytes, sizeof bytes, leaf, NULL, EVP_sha256(), NULL), 1);
}

static void hash_range(struct wal_hasher *hasher, uint64_t first, uint64_t end,
                       uint8_t hash[WAL_HASH_SIZE]) {
    struct wal_frontier frontier = {.count = 0};
    for (uint64_t index = first; index < end; index++) {
        uint8_t leaf[WAL_HASH_SIZE];
        any_leaf(index, leaf);
        assert_true(wal_frontier_add_subtree(&frontier, hasher, 0, leaf));
    }
    assert_true(wal_frontier_root(&frontier, hasher, hash));
}

static size_t fill(struct wal_hasher *hasher, const struct wal_proof *proof,
                   uint8_t path[][WAL_HASH_SIZE]) {
    for (size_t i = 0; i < proof->count; i++)
        hash_range(hasher, proof->nodes[i].first, proof->nodes[i].end, path[i]);
    return proof->count;
}

static void test_wal_proof_roots_are_the_published_ones(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    for (size_t size = 1; size <= VECTORS; size++) {
        uint8_t root[WAL_HASH_SIZE];
        uint8_t expected[WAL_HASH_SIZE];
        hash_range(hasher, 0, size, root);
        from_hex(vectors[size - 1].root, expected);
        assert_memory_equal(root, expected, WAL_HASH_SIZE);
    }
    wal_hasher_destroy(hasher);
}

/* A published path: index (or old size), size, its hashes. */
static void expect_path(struct wal_hasher *hasher, const struct wal_proof *proof,
                        const char *const *hashes, size_t count) {
    uint8_t path[WAL_PROOF_NODES_MAX][WAL_HASH_SIZE];
    assert_int_equal(fill(hasher, proof, path), count);
    for (size_t i = 0; i < count; i++) {
        uint8_t expected[WAL_HASH_SIZE];
        from_hex(hashes[i], expected);
        assert_memory_equal(path[i], expected, WAL_HASH_SIZE);
    }
}

static void test_wal_proof_paths_are_the_published_ones(void **state) {
    (void)state;
    static const char *const in_8_at_0[] = {
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"};
    static const char *const in_8_at_5[] = {
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"};
    static const char *const from_6_to_8[] = {
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"};
    static const char *const from_2_to_5[] = {
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"};
    struct wal_hasher *hasher = wal_hasher_create();
    struct wal_proof proof;
    wal_proof_of_inclusion(0, 8, &proof);
    expect_path(hasher, &proof, in_8_at_0, 3);
    wal_proof_of_inclusion(5, 8, &proof);
    expect_path(hasher, &proof, in_8_at_5, 3);
    wal_proof_of_consistency(1, 8, &proof); /* the same hashes as for leaf 0 */
    expect_path(hasher, &proof, in_8_at_0, 3);
    wal_proof_of_consistency(6, 8, &proof);
    expect_path(hasher, &proof, from_6_to_8, 3);
    wal_proof_of_consistency(2, 5, &proof);
    expect_path(hasher, &proof, from_2_to_5, 2);
    wal_hasher_destroy(hasher);
}

/* Every way to spoil one byte of a path, to cut it and to lengthen it must be seen. */
static void expect_inclusion(struct wal_hasher *hasher, uint64_t index, uint64_t size) {
    struct wal_proof proof;
    uint8_t path[WAL_PROOF_NODES_MAX + 1][WAL_HASH_SIZE] = {{0}};
    uint8_t leaf[WAL_HASH_SIZE];
    uint8_t root[WAL_HASH_SIZE];
    wal_proof_of_inclusion(index, size, &proof);
    size_t count = fill(hasher, &proof, path);
    any_leaf(index, leaf);
    hash_range(hasher, 0, size, root);
    assert_true(wal_proof_check_inclusion(hasher, leaf, index, size, path, count, root));
    for (size_t i = 0; i < count; i++) {
        path[i][i % WAL_HASH_SIZE] ^= 1;
        assert_false(wal_proof_check_inclusion(hasher, leaf, index, size, path, count, root));
        path[i][i % WAL_HASH_SIZE] ^= 1;
    }
    assert_false(wal_proof_check_inclusion(hasher, leaf, index, size, path, count + 1, root));
    if (count > 0)
        assert_false(wal_proof_check_inclusion(hasher, leaf, index, size, path, count - 1, root));
    for (uint64_t other = 0; other <= size; other++)
        if (other != index)
            assert_false(wal_proof_check_inclusion(hasher, leaf, other, size, path, count, root));
    leaf[0] ^= 1;
    assert_false(wal_proof_check_inclusion(hasher, leaf, index, size, path, count, root));
}

static void test_wal_proof_of_inclusion_holds_for_every_leaf(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    for (uint64_t size = 1; size < LEAVES; size += size < 20 ? 1 : 7)
        for (uint64_t index = 0; index < size; index++)
            expect_inclusion(hasher, index, size);
    wal_hasher_destroy(hasher);
}

static void expect_consistency(struct wal_hasher *hasher, uint64_t old_size, uint64_t size) {
    struct wal_proof proof;
    uint8_t path[WAL_PROOF_NODES_MAX + 1][WAL_HASH_SIZE] = {{0}};
    uint8_t old_root[WAL_HASH_SIZE];
    uint8_t root[WAL_HASH_SIZE];
    wal_proof_of_consistency(old_size, size, &proof);
    size_t count = fill(hasher, &proof, path);
    hash_range(hasher, 0, old_size, old_root);
    hash_range(hasher, 0, size, root);
    assert_true(wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count));
    for (size_t i = 0; i < count; i++) {
        path[i][i % WAL_HASH_SIZE] ^= 1;
        assert_false(
            wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count));
        path[i][i % WAL_HASH_SIZE] ^= 1;
    }
    assert_false(
        wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count + 1));
    if (count > 0)
        assert_false(
            wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count - 1));
    old_root[5] ^= 1;
    assert_false(wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count));
    old_root[5] ^= 1;
    root[5] ^= 1;
    assert_false(wal_proof_check_consistency(hasher, old_size, old_root, size, root, path, count));
}

static void test_wal_proof_of_consistency_holds_for_every_pair(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    for (uint64_t size = 1; size < LEAVES; size += size < 20 ? 1 : 7)
        for (uint64_t old_size = 1; old_size <= size; old_size++)
            expect_consistency(hasher, old_size, size);
    wal_hasher_destroy(hasher);
}

static void test_wal_proof_checks_refuse_impossible_sizes(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    uint8_t hash[WAL_HASH_SIZE];
    const uint8_t none[1][WAL_HASH_SIZE] = {{0}};
    hash_range(hasher, 0, 1, hash);
    assert_false(wal_proof_check_inclusion(hasher, hash, 1, 1, none, 0, hash));
    assert_false(wal_proof_check_inclusion(hasher, hash, 0, 0, none, 0, hash));
    assert_false(wal_proof_check_consistency(hasher, 0, hash, 1, hash, none, 0));
    assert_false(wal_proof_check_consistency(hasher, 2, hash, 1, hash, none, 0));
    wal_hasher_destroy(hasher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_proof_roots_are_the_published_ones),
        cmocka_unit_test(test_wal_proof_paths_are_the_published_ones),
        cmocka_unit_test(test_wal_proof_of_inclusion_holds_for_every_leaf),
        cmocka_unit_test(test_wal_proof_of_consistency_holds_for_every_pair),
        cmocka_unit_test(test_wal_proof_checks_refuse_impossible_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
