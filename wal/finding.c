#include "wal/finding.h"

#include <stdlib.h>
#include <string.h>

/* How much behind the frame header may be payload. */
static size_t remains_size(const struct wal_gap *gap) {
    if (gap->place != WAL_GAP_FRAMES || gap->size <= WAL_FRAME_HEADER_SIZE)
        return 0;
    uint64_t size = gap->size - WAL_FRAME_HEADER_SIZE;
    if (gap->payload_size > 0 && gap->payload_size < size)
        size = gap->payload_size;
    return size < WAL_REMAINS_MAX ? (size_t)size : (size_t)WAL_REMAINS_MAX;
}

static size_t read_remains(const struct wal_directory *directory, const struct wal_gap *gap,
                           uint8_t *to, size_t size) {
    struct io *io = directory->io;
    struct io_file *file;
    size_t got = 0;
    if (wal_segment_open(io, directory->path, gap->segment, IO_READ, &file, NULL) != WF_OK)
        return 0;
    if (io_read_all(io, file, gap->offset + WAL_FRAME_HEADER_SIZE, to, size, &got, NULL) != WF_OK)
        got = 0;
    io->ops->close(io, file);
    return got;
}

enum wf_status wal_finding_tell(const struct wal_directory *directory, const struct wal_gap *gap,
                                wal_finding_fn on_finding, void *ctx, struct wf_error *err) {
    if (on_finding == NULL)
        return WF_OK;
    struct wal_finding finding = {
        .kind = gap->kind,
        .offset = gap->offset,
        .size = gap->size,
        .first_lsn = gap->first_lsn,
        .last_lsn = gap->last_lsn,
    };
    memcpy(finding.segment, gap->segment, sizeof finding.segment);
    wal_gap_text(gap, finding.text, sizeof finding.text);
    size_t size = remains_size(gap);
    uint8_t *remains = size > 0 ? malloc(size) : NULL;
    if (size > 0 && remains == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a damaged record");
    if (remains != NULL)
        finding.remains = (struct bytes_view){remains, read_remains(directory, gap, remains, size)};
    enum wf_status status = on_finding(ctx, &finding, err);
    free(remains);
    return status;
}
