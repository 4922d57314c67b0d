#include "engine/record_reader.h"

#include <inttypes.h>

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

struct finding {
    struct record_reader *reader;
    bool found;
};

/* The payload is copied: the walk's own is gone when it goes on. */
static enum wf_status take(void *ctx, const struct wal_record *found, struct wf_error *err) {
    struct finding *finding = ctx;
    struct record_reader *reader = finding->reader;
    if (found->lost) {
        return WF_OK;
    }
    bytes_buffer_clear(&reader->bytes);
    bytes_write_run(&reader->bytes, found->payload.data, found->payload.size);
    if (!bytes_buffer_ok(&reader->bytes)) {
        return error_set(err, WF_NO_MEMORY, "no memory to read LSN %" PRIu64, found->lsn);
    }
    struct wal_record kept = *found;
    kept.payload = (struct bytes_view){reader->bytes.data, reader->bytes.size};
    enum wf_status status = codec_decode_logged(&reader->arena, &kept, &reader->record, err);
    finding->found = status == WF_OK;
    return status;
}

enum wf_status record_reader_find(struct record_reader *reader, uint64_t lsn, bool *found,
                                  struct wf_error *err) {
    struct finding finding = {.reader = reader};
    codec_release(&reader->record);
    reader->record = (struct record){0};
    enum wf_status status = wal_walk(reader->engine->wal, lsn, lsn, take, &finding, err);
    *found = finding.found;
    return status;
}
