/* Records that a repair left without effect: they rest on what was lost, and the state is as if
 * they were not there. One entity for each, for ever, in the snapshot under the LSN, so that nobody
 * takes for done what is not: an idempotency key, a reversal, a statement. */
#ifndef CORE_INEFFECTIVE_H
#define CORE_INEFFECTIVE_H

#include "engine/core/state.h"

struct ineffective {
    struct entity entity;
    uint8_t lsn[8]; /* big-endian: its key */
};

/* Its key; `key` is 8 bytes. */
struct bytes_view ineffective_key(uint64_t lsn, uint8_t key[8]);
uint64_t ineffective_lsn(const struct ineffective *ineffective);
/* NULL: not in memory. */
struct ineffective *state_ineffective(const struct state *state, uint64_t lsn);
/* Set aside for ineffective_apply(). WF_NO_MEMORY. */
enum wf_status ineffective_reserve(struct state *state, struct wf_error *err);
/* The record is without effect. */
void ineffective_apply(struct state *state, uint64_t lsn);
/* `rest` is all that stands behind the layout: nothing. WF_DAMAGE, WF_NO_MEMORY. */
enum wf_status ineffective_load(struct state *state, struct bytes_view key,
                                struct bytes_reader *rest, struct entity **out,
                                struct wf_error *err);

#endif
