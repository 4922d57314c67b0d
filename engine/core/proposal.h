/* Proposals and verdicts as memory and as bytes: what waits to be decided about a workflow, and how
 * a reviewer decided last. What they mean is rollback.h's matter. */
#ifndef CORE_PROPOSAL_H
#define CORE_PROPOSAL_H

#include "engine/core/state.h"

/* On the heap, in no list; NULL where memory fails. The texts are copied. */
struct proposal *proposal_create(struct bytes_view actor, struct bytes_view reason);
/* Into the workflow's list, at its place; it takes the proposal over. */
void proposal_insert(struct workflow *workflow, struct proposal *proposal);
/* Out of the list and freed; one that is in no list is left alone. */
void proposal_remove(struct workflow *workflow, struct proposal *proposal);
void proposal_remove_all(struct workflow *workflow);
size_t proposal_bytes(const struct workflow *workflow); /* heap bytes of all, and of the verdict */

struct verdict *verdict_create(struct bytes_view actor); /* likewise */

/* What an entity's value has of them: nothing where there are none. The place of the verdict's
 * record goes into the part that is not hashed. */
bool proposal_any(const struct workflow *workflow);
void proposal_encode(const struct workflow *workflow, struct bytes_buffer *value);
void proposal_encode_links(const struct workflow *workflow, struct bytes_buffer *value);
/* False: malformed, or (then the reader has not failed) no memory. */
bool proposal_decode(struct workflow *workflow, struct bytes_reader *reader, bool *no_memory);
void proposal_decode_links(struct workflow *workflow, struct bytes_reader *reader);

#endif
