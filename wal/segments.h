/* The inside of the handle: the table of the segments that are there, with the files that are open
 * for reading. Only wal.c, segments.c and read.c include this. */
#ifndef WAL_SEGMENTS_H
#define WAL_SEGMENTS_H

#include "wal/segment.h"
#include "wal/writer.h"

#include <pthread.h>

/* One segment in the table. Freed when it is neither in the table nor in use. */
struct wal_segment {
    struct wal_segment_info info; /* of the newest, unsealed one: name and first LSN only */
    struct io_file *file;         /* NULL: not open */
    uint64_t last_use;
    unsigned users;
    bool removed;
};

struct wal {
    struct io *io;
    char *dir;
    uint64_t segment_size;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint32_t seed;
    struct wal_writer *writer; /* NULL: open for reading only */
    uint64_t read_next_lsn;    /* reading only: behind the last record */
    uint64_t read_offset;      /* reading only: the end of the newest segment */

    struct wal_source source; /* read NULL: there is none */

    pthread_mutex_t mutex; /* guards the table below */
    struct wal_segment **segments;
    size_t count;
    size_t capacity;
    uint64_t uses;
};

/* Add a segment behind the others. Takes `file` over where it succeeds. NULL: no memory. */
struct wal_segment *wal_segments_add(struct wal *wal, const char *name, uint64_t first_lsn,
                                     struct io_file *file);
/* Find the segment of `lsn`, opened, and keep it until wal_segments_release(). */
enum wf_status wal_segments_hold(struct wal *wal, uint64_t lsn, struct wal_segment **out,
                                 struct wf_error *err);
/* The last LSN of the segment in the table that holds `lsn`; of what is before the table, the one
 * before its first. */
uint64_t wal_segments_last_of(struct wal *wal, uint64_t lsn);
void wal_segments_release(struct wal *wal, struct wal_segment *segment);
/* Close and free one that is no longer in the table or in use. */
void wal_segments_free(struct wal *wal, struct wal_segment *segment);

#endif
