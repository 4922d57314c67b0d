#include "wal/catch_up.h"

#include <inttypes.h>

bool wal_frontier_add_frame(struct wal_frontier *frontier, struct wal_hasher *hasher,
                            const struct wal_frame *frame) {
    bool lost = frame->kind == WAL_FRAME_LOST;
    struct bytes_view payload = lost ? (struct bytes_view){NULL, 0} : frame->payload;
    for (uint64_t lsn = frame->lsn; lsn < wal_frame_next_lsn(frame); lsn++) {
        if (!wal_frontier_add(frontier, hasher, lsn, payload))
            return false;
    }
    return true;
}

static enum wf_status add_next(struct wal_reader *reader, struct wal_hasher *hasher,
                               struct wal_frontier *frontier, struct wf_error *err) {
    struct wal_step step;
    enum wf_status status = wal_reader_next(reader, &step, err);
    if (status != WF_OK)
        return status;
    if (step.found != WAL_FOUND_FRAME || step.frame.kind == WAL_FRAME_SEAL)
        return error_set(err, WF_DAMAGE, "offset %" PRIu64 ": the record that was here is gone",
                         step.offset);
    return wal_frontier_add_frame(frontier, hasher, &step.frame)
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "libcrypto cannot hash LSN %" PRIu64, step.frame.lsn);
}

enum wf_status wal_catch_up(struct io *io, struct io_file *file, uint32_t seed,
                            struct wal_hasher *hasher, uint64_t *offset, uint64_t end,
                            struct wal_frontier *frontier, struct wf_error *err) {
    if (*offset >= end)
        return WF_OK;
    struct wal_reader reader;
    wal_reader_init(&reader, io);
    enum wf_status status = wal_reader_start(&reader, file, seed, *offset, err);
    while (status == WF_OK && *offset < end) {
        status = add_next(&reader, hasher, frontier, err);
        if (status == WF_OK)
            *offset = reader.offset;
    }
    wal_reader_deinit(&reader);
    return status;
}
