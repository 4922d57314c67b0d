/* Records into a Merkle frontier: of a frame at hand, or of those that stand in a segment's file
 * already. Recovery reads a tail without hashing it: a hash takes as long as all else about a
 * record, and the tree is asked for later, or never. */
#ifndef WAL_CATCH_UP_H
#define WAL_CATCH_UP_H

#include "wal/merkle.h"
#include "wal/reader.h"

/* Add the records of one frame that is no seal; of a lost range each LSN. False: libcrypto failed.
 */
bool wal_frontier_add_frame(struct wal_frontier *frontier, struct wal_hasher *hasher,
                            const struct wal_frame *frame);

/* Add the frames of `file` from `*offset` on, where the frontier ends, to `end`, which ends one;
 * `*offset` moves on. They were found good before: WF_DAMAGE where they are not any more. WF_IO,
 * WF_NO_MEMORY. */
enum wf_status wal_catch_up(struct io *io, struct io_file *file, uint32_t seed,
                            struct wal_hasher *hasher, uint64_t *offset, uint64_t end,
                            struct wal_frontier *frontier, struct wf_error *err);

#endif
