/* Records into state, one after the other: what recovery, rebuilding and verification share. A long
 * replay decodes on the caller's thread and applies on a second one, which lives no longer than the
 * replay. */
#ifndef ENGINE_REPLAY_H
#define ENGINE_REPLAY_H

#include "engine/engine.h"

struct replay_pipeline;

/* Zero what is not named. `engine` NULL: into a state of its own that no snapshot backs. */
struct replayer {
    struct wf_engine *engine;
    struct state *state;
    struct codec_arena *arena;
    uint64_t after_lsn; /* skip records up to this one */
    uint64_t records;   /* applied; valid after replay_finish() */
    uint64_t bytes;     /* of their payloads */
    struct record_link last;
    uint64_t undecodable_lsn;         /* 0: all could be decoded */
    _Atomic uint64_t durable_lsn;     /* what was read so far vouches for the records up to here */
    struct replay_pipeline *pipeline; /* NULL: none was started */
};

/* A wal_record_fn over a struct replayer. The state must not be looked at before replay_finish().
 */
enum wf_status replay_record(void *ctx, const struct wal_record *record, struct wf_error *err);
/* Wait until everything is applied. Takes the status that the walk over the log ended with, and
 * returns the first failure. Must be called once, whatever happened. */
enum wf_status replay_finish(struct replayer *replayer, enum wf_status status,
                             struct wf_error *err);
/* Load what the record touches, then reserve and apply. Releases the record. For replay_pipeline.c.
 */
enum wf_status replay_apply(struct replayer *replayer, struct record *record, struct wf_error *err);

/* --- replay_pipeline.c --- */

/* NULL where memory or threads fail, or there is one processor only: go on without. */
struct replay_pipeline *replay_pipeline_create(struct replayer *replayer);
/* Decode and queue one record. Fails with what applying an earlier one failed with. */
enum wf_status replay_pipeline_push(struct replay_pipeline *pipeline,
                                    const struct wal_record *record, struct wf_error *err);
/* Apply what is queued and end the thread; frees the pipeline. */
enum wf_status replay_pipeline_finish(struct replay_pipeline *pipeline, struct wf_error *err);

#endif
