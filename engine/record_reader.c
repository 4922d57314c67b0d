#include "engine/record_reader.h"

void record_reader_init(struct record_reader *reader, struct wf_engine *engine) {
    *reader = (struct record_reader){.engine = engine};
    codec_arena_init(&reader->arena);
    bytes_buffer_init(&reader->bytes);
}

void record_reader_deinit(struct record_reader *reader) {
    codec_release(&reader->record);
    codec_arena_deinit(&reader->arena);
    bytes_buffer_deinit(&reader->bytes);
}

enum wf_status record_reader_read(struct record_reader *reader, struct record_link link,
                                  struct wf_error *err) {
    codec_release(&reader->record);
    return engine_read_record(reader->engine, link, &reader->arena, &reader->bytes, &reader->record,
                              err);
}
