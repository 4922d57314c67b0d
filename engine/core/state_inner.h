/* What the files of the core may do to the state beside state.h: tables, lists, what was reserved.
 * Not for the shell. */
#ifndef CORE_STATE_INNER_H
#define CORE_STATE_INNER_H

#include "engine/core/state.h"

void state_reserved_release(struct state *state); /* free what no apply() took over */
/* Room for a definition of this number. False: no memory. */
bool state_reserve_number(struct state *state, uint32_t number);
/* A key on the heap, in no table, its text set and all else 0; NULL where memory fails. */
struct idempotency_key *state_create_key(struct bytes_view text);
/* Fill key, key_size and entity.bytes from the definition. */
void state_name_definition(struct definition_entity *entity);
/* Into tables that have room: the entity becomes findable. */
void state_insert_definition(struct state *state, struct definition_entity *entity);
/* A new entity joins as a clean one. */
void state_adopt(struct state *state, struct entity *entity);
/* `to` takes the place of `from` in its list, with all that is known of `from`, and the size that
 * `to` has already. */
void state_replace(struct state *state, struct entity *from, struct entity *to);
/* Its memory grew or shrank. */
void state_resize(struct state *state, struct entity *entity, uint32_t bytes);

#endif
