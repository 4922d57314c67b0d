#include "engine/core/ineffective.h"

#include "engine/core/state_inner.h"

#include <stdlib.h>
#include <string.h>

enum { MALLOC_OVERHEAD = 16 };

struct bytes_view ineffective_key(uint64_t lsn, uint8_t key[8]) {
    for (int i = 8; i-- > 0; lsn >>= 8)
        key[i] = (uint8_t)lsn;
    return (struct bytes_view){key, 8};
}

uint64_t ineffective_lsn(const struct ineffective *ineffective) {
    uint64_t lsn = 0;
    for (size_t i = 0; i < sizeof ineffective->lsn; i++)
        lsn = lsn << 8 | ineffective->lsn[i];
    return lsn;
}

struct ineffective *state_ineffective(const struct state *state, uint64_t lsn) {
    uint8_t key[8];
    (void)ineffective_key(lsn, key);
    return table_find(&state->ineffective, key, sizeof key);
}

static struct ineffective *create(void) {
    struct ineffective *ineffective = calloc(1, sizeof *ineffective);
    if (ineffective == NULL)
        return NULL;
    ineffective->entity.kind = ENTITY_INEFFECTIVE;
    ineffective->entity.bytes = sizeof *ineffective + MALLOC_OVERHEAD;
    return ineffective;
}

static void insert(struct state *state, struct ineffective *ineffective) {
    table_insert(&state->ineffective, ineffective);
    state_adopt(state, &ineffective->entity);
    state->any_ineffective = true;
}

enum wf_status ineffective_reserve(struct state *state, struct wf_error *err) {
    state->reserved.ineffective = create();
    return state->reserved.ineffective != NULL && table_reserve(&state->ineffective)
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory for a record without effect");
}

void ineffective_apply(struct state *state, uint64_t lsn) {
    struct ineffective *ineffective = state->reserved.ineffective;
    if (state_ineffective(state, lsn) != NULL)
        return;
    state->reserved.ineffective = NULL;
    (void)ineffective_key(lsn, ineffective->lsn);
    insert(state, ineffective);
    state_touch(state, &ineffective->entity, lsn);
}

enum wf_status ineffective_load(struct state *state, struct bytes_view key,
                                struct bytes_reader *rest, struct entity **out,
                                struct wf_error *err) {
    if (key.size != 8 || !bytes_reader_done(rest) ||
        table_find(&state->ineffective, key.data, key.size) != NULL)
        return error_set(err, WF_DAMAGE, "a record without effect is malformed or there twice");
    struct ineffective *ineffective = create();
    if (ineffective == NULL || !table_reserve(&state->ineffective)) {
        free(ineffective);
        return error_set(err, WF_NO_MEMORY, "no memory for a record without effect");
    }
    memcpy(ineffective->lsn, key.data, sizeof ineffective->lsn);
    ineffective->entity.changed_lsn = ineffective_lsn(ineffective);
    insert(state, ineffective);
    *out = &ineffective->entity;
    return WF_OK;
}
