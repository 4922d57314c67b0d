/* The state hash: a sum of one digest per entity, so that it costs only what changed and does not
 * depend on the order of entities or on snapshots. A check against accidents and divergence;
 * tampering is the Merkle tree's matter. */
#ifndef ENGINE_DIGEST_H
#define ENGINE_DIGEST_H

#include "engine/core/state.h"

/* 128 bits, added and subtracted modulo 2^128 (an AdHash in the manner of Bellare and Micciancio,
 * 1997). */
struct digest_sum {
    uint64_t low, high;
};

void digest_sum_add(struct digest_sum *sum, const uint8_t digest[16]);
void digest_sum_subtract(struct digest_sum *sum, const uint8_t digest[16]);

/* SHA-256 over "key, value", cut to 16 bytes; the key's length goes first. */
void digest_entity(struct bytes_view key, struct bytes_view value, uint8_t digest[16]);
/* The state hash that a sum stands for: SHA-256, as 64 hex digits and a terminator. */
void digest_hex(const struct digest_sum *sum, char hex[65]);
/* 16 bytes of SHA-256 over `data`, for comparing command bodies. */
void digest_body(struct bytes_view data, uint8_t digest[16]);

/* The state hash of everything in `state` as it is now: `sum` plus what changed since it was
 * counted. WF_NO_MEMORY. */
enum wf_status digest_state(const struct state *state, const struct digest_sum *sum,
                            struct digest_sum *out, struct wf_error *err);

#endif
