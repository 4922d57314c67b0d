/* The state hash. */
#include "engine/digest.h"

#include "engine/hex.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <string.h>

void digest_sum_add(struct digest_sum *sum, const uint8_t digest[16]) {
    uint64_t low = bytes_load_u64(digest);
    sum->low += low;
    sum->high += bytes_load_u64(digest + 8) + (sum->low < low ? 1 : 0);
}

void digest_sum_subtract(struct digest_sum *sum, const uint8_t digest[16]) {
    uint64_t low = bytes_load_u64(digest);
    uint64_t borrow = sum->low < low ? 1 : 0;
    sum->low -= low;
    sum->high -= bytes_load_u64(digest + 8) + borrow;
}

/* One-shot SHA-256 over up to three runs. The low-level calls need no allocation, so hashing cannot
 * fail. */
static void sha256_runs(const struct bytes_view *runs, size_t count, uint8_t hash[32]) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    SHA256_CTX context;
    SHA256_Init(&context);
    for (size_t i = 0; i < count; i++) {
        SHA256_Update(&context, runs[i].data, runs[i].size);
    }
    SHA256_Final(hash, &context);
#pragma GCC diagnostic pop
}

void digest_entity(struct bytes_view key, struct bytes_view value, uint8_t digest[16]) {
    uint8_t length[4];
    bytes_store_u32(length, (uint32_t)key.size);
    const struct bytes_view runs[] = {{length, sizeof(length)}, key, value};
    uint8_t hash[32];
    sha256_runs(runs, 3, hash);
    memcpy(digest, hash, 16);
}

void digest_body(struct bytes_view data, uint8_t digest[16]) {
    uint8_t hash[32];
    sha256_runs(&data, 1, hash);
    memcpy(digest, hash, 16);
}

void digest_hex(const struct digest_sum *sum, char hex[65]) {
    uint8_t bytes[16];
    bytes_store_u64(bytes, sum->low);
    bytes_store_u64(bytes + 8, sum->high);
    static const char domain[] = "wf state 1";
    const struct bytes_view runs[] = {{(const uint8_t *)domain, sizeof(domain) - 1},
                                      {bytes, sizeof(bytes)}};
    uint8_t hash[32];
    sha256_runs(runs, 2, hash);
    hex_encode(hash, sizeof(hash), hex);
}

/* Replace what `entity` counted for by what it counts for now. False: no memory. */
static bool recount(const struct entity *entity, struct bytes_buffer *key,
                    struct bytes_buffer *value, struct digest_sum *sum) {
    if (entity->digest_counted) {
        digest_sum_subtract(sum, entity->digest);
    }
    if (entity->deleted) {
        return true;
    }
    bytes_buffer_clear(key);
    bytes_buffer_clear(value);
    size_t hashed = 0;
    entity_encode_key(entity, key);
    entity_encode(entity, value, &hashed);
    if (!bytes_buffer_ok(key) || !bytes_buffer_ok(value)) {
        return false;
    }
    uint8_t digest[16];
    digest_entity((struct bytes_view){key->data, key->size},
                  (struct bytes_view){value->data, hashed}, digest);
    digest_sum_add(sum, digest);
    return true;
}

static bool recount_list(const struct entity_list *list, struct bytes_buffer *key,
                         struct bytes_buffer *value, struct digest_sum *sum) {
    const struct entity *entity = list->first;
    bool ok = true;
    for (size_t i = 0; ok && i < list->count; i++) {
        ok = recount(entity, key, value, sum);
        entity = entity->next;
    }
    return ok;
}

enum wf_status digest_state(const struct state *state, const struct digest_sum *sum,
                            struct digest_sum *out, struct wf_error *err) {
    struct bytes_buffer key;
    struct bytes_buffer value;
    bytes_buffer_init(&key);
    bytes_buffer_init(&value);
    *out = *sum;
    bool ok = recount_list(&state->changed, &key, &value, out) &&
              recount_list(&state->frozen, &key, &value, out);
    bytes_buffer_deinit(&key);
    bytes_buffer_deinit(&value);
    return ok ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory for the state hash");
}
