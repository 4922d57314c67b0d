/* The segment files of one log as they lie in its directory: names, sizes and headers, before
 * anything is decided about their frames. Owns the list; opens no file for longer than a call. */
#ifndef WAL_DIRECTORY_H
#define WAL_DIRECTORY_H

#include "wal/reader.h"
#include "wal/segment.h"

/* One segment file whose name is well-formed. */
struct wal_entry {
    char name[WAL_SEGMENT_NAME_SIZE];
    uint64_t first_lsn; /* by the name */
    uint64_t size;      /* of the file when the directory was read */
    bool header_good;
    struct wal_segment_header header; /* where it is bad: as far as it can be guessed */
};

/* A file that ends in ".seg" and is no segment of this log. */
struct wal_misfit {
    char name[WAL_SEGMENT_NAME_SIZE]; /* cut where it is longer */
    uint64_t size;
    const char *why;
};

struct wal_directory {
    struct io *io;
    char *path;
    struct wal_entry *entries; /* ascending by first_lsn */
    size_t count;
    struct wal_misfit *misfits;
    size_t misfit_count;
    struct wal_entry unborn; /* case R7: a newest file without header or frames; name "" if none */
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint32_t seed;
};

/* Read the names and headers. WF_NOT_FOUND: no directory, or no segment in it was ever finished.
 * WF_REFUSED: a segment of a newer format. WF_DAMAGE: no header tells the store's UUID. On failure
 * there is nothing to deinit. */
enum wf_status wal_directory_init(struct wal_directory *directory, struct io *io, const char *path,
                                  struct wf_error *err);
/* What that came to, for a log that held LSN `minimum_lsn` (0: it may have held nothing): no
 * segment is WF_DAMAGE then, for the log was lost. */
enum wf_status wal_directory_judge(enum wf_status status, const char *path, uint64_t minimum_lsn,
                                   struct wf_error *err);
void wal_directory_deinit(struct wal_directory *directory);

/* A new listing of what is there: the file names that end in ".seg", sorted. Heap-allocated, one
 * block of `*count` names. */
enum wf_status wal_directory_names(struct io *io, const char *path,
                                   char (**names)[WAL_SEGMENT_NAME_SIZE], size_t *count,
                                   struct wf_error *err);

/* Sync the directory that holds `path`, and with it the name of the log itself. */
enum wf_status wal_directory_sync_parent(struct io *io, const char *path, struct wf_error *err);

#endif
