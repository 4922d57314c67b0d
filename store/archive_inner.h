/* The inside of the folder of archives: what archive.c and archive_read.c share. */
#ifndef STORE_ARCHIVE_INNER_H
#define STORE_ARCHIVE_INNER_H

#include "store/archive_file.h"

#include <pthread.h>

enum { ARCHIVE_CACHED_BLOCKS = 8, ARCHIVE_CACHED_INDEXES = 4 };

/* A block that was decoded lately. */
struct archive_cached_block {
    struct archive_frames frames; /* count 0: nothing */
    struct bytes_buffer bytes;
    uint64_t last_use;
};

/* The index of an archive that was read lately. */
struct archive_cached_index {
    uint64_t first_lsn; /* of the archive; 0: nothing */
    struct archive_index index;
    uint64_t last_use;
};

struct archive {
    struct io *io;
    char *dir;
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint32_t seed;
    pthread_mutex_t mutex; /* guards all below */
    struct archive_manifest manifest;
    struct archive_cursor cursor; /* of archive_read() */
    bool has_cursor;
    struct archive_cached_block blocks[ARCHIVE_CACHED_BLOCKS];
    struct archive_cached_index indexes[ARCHIVE_CACHED_INDEXES];
    uint64_t uses;
};

void archive_cache_deinit(struct archive *archive); /* may be used again */

#endif
