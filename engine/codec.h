/* Records as bytes: the only includer of the generated protobuf-c code. Decoding allocates from an
 * arena that is reset from record to record, so that replay does not visit the heap. */
#ifndef ENGINE_CODEC_H
#define ENGINE_CODEC_H

#include "engine/core/event.h"
#include "wal/wal.h"

/* A bump allocator: blocks are kept when it is reset. */
struct codec_arena {
    struct codec_block *blocks; /* the one in use first */
    struct codec_block *spare;
};

void codec_arena_init(struct codec_arena *arena);
void codec_arena_deinit(struct codec_arena *arena);
/* Everything handed out becomes invalid; the memory is kept for the next record. */
void codec_arena_reset(struct codec_arena *arena);
/* 16-byte aligned; NULL where memory fails. */
void *codec_arena_alloc(struct codec_arena *arena, size_t size);

/* Append the record's bytes to `out`; `arena` is scratch, valid until its reset. WF_NO_MEMORY;
 * WF_USAGE: larger than the log takes. */
enum wf_status codec_encode(struct codec_arena *arena, const struct record *record,
                            struct bytes_buffer *out, struct wf_error *err);

/* Decode one record. Its texts are views into `bytes`, the rest lives in the arena, except the
 * definition of an EVENT_DEFINITION_ADDED, which is on the heap: whoever does not apply the record
 * calls codec_release(). Everything is checked that core relies on: kinds, counts, sizes, indices
 * against their limits. WF_DAMAGE: the bytes are no record; the text says why. */
enum wf_status codec_decode(struct codec_arena *arena, struct bytes_view bytes,
                            struct record *record, struct wf_error *err);
/* The same for one of the log, in an arena that is reset before: it knows its LSN and its place,
 * and an error names the LSN. */
enum wf_status codec_decode_logged(struct codec_arena *arena, const struct wal_record *logged,
                                   struct record *record, struct wf_error *err);
void codec_release(struct record *record);

#endif
