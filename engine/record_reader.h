/* Reads records by their place, one after the other, with one set of buffers. */
#ifndef ENGINE_RECORD_READER_H
#define ENGINE_RECORD_READER_H

#include "engine/engine.h"

struct record_reader {
    struct wf_engine *engine;
    struct codec_arena arena;
    struct bytes_buffer bytes;
    struct record record; /* the last one; valid until the next is read */
};

void record_reader_init(struct record_reader *reader, struct wf_engine *engine);
void record_reader_deinit(struct record_reader *reader);
/* As engine_read_record(). */
enum wf_status record_reader_read(struct record_reader *reader, struct record_link link,
                                  struct wf_error *err);
/* The record of this LSN, whose place is not known. `found` false: it was lost in a repair, or is
 * not in the log. WF_DAMAGE. */
enum wf_status record_reader_find(struct record_reader *reader, uint64_t lsn, bool *found,
                                  struct wf_error *err);

#endif
