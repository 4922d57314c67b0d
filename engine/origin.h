/* Where a replay begins: with nothing, before the first record; or, where records were dropped,
 * with the state after the last of them, which is kept in a file of its own beside the archives. */
#ifndef ENGINE_ORIGIN_H
#define ENGINE_ORIGIN_H

#include "engine/engine.h"

typedef void (*origin_progress_fn)(void *ctx, uint64_t lsn, uint64_t last);

/* Bring what stands for dropped records into `state`, which is empty: all of it counts as changed.
 * `*lsn` is the last dropped one; 0: none was, and nothing was done. WF_DAMAGE: the file is missing
 * or damaged. */
enum wf_status origin_load(struct archive *archive, struct state *state, uint64_t *lsn,
                           struct wf_error *err);
/* Can the file be read? Nothing is done where no record was dropped. WF_DAMAGE: no; the text names
 * it and says where it may be had from. */
enum wf_status origin_read(struct archive *archive, struct wf_error *err);
/* The workflow `id` as it was after the last dropped record, into `state`, which has its
 * definitions. Nothing is inserted where it was not there. */
enum wf_status origin_load_workflow(struct archive *archive, struct bytes_view id,
                                    struct state *state, struct wf_error *err);
/* Rebuild everything up to record `last` into `state`, which is empty. WF_DAMAGE: the first
 * records are not here, and nothing stands for them. `on_progress` may be NULL. */
enum wf_status origin_rebuild(struct wf_engine *engine, struct state *state, uint64_t last,
                              origin_progress_fn on_progress, void *ctx, struct wf_error *err);
/* Rebuild the state after record `lsn` and write it where the next replay would begin with it, once
 * the records up to there are dropped. `state_hash` is that of the state. */
enum wf_status origin_write(struct wf_engine *engine, uint64_t lsn, origin_progress_fn on_progress,
                            void *ctx, uint8_t state_hash[WAL_HASH_SIZE], struct wf_error *err);
/* Rebuild it and write nothing: would origin_write() be able to? */
enum wf_status origin_try(struct wf_engine *engine, uint64_t lsn, origin_progress_fn on_progress,
                          void *ctx, struct wf_error *err);
/* Is what stands for the dropped records what the record of the drop says? WF_DIVERGENCE: no.
 * WF_NOT_FOUND: a repair lost that record. */
enum wf_status origin_check(struct wf_engine *engine, struct wf_error *err);

#endif
