/* What is archived: one small file that names every archive with its size, digest, LSNs, times and
 * hashes, and what was dropped. It is replaced as a whole, so that an archive is either in it or
 * not. */
#ifndef STORE_ARCHIVE_MANIFEST_H
#define STORE_ARCHIVE_MANIFEST_H

#include "wal/cover.h"

enum { ARCHIVE_NAME_SIZE = 64, ARCHIVE_ACTOR_SIZE = 201, ARCHIVE_COVER_MAX = 2 * 64 };

struct archive_entry {
    char name[ARCHIVE_NAME_SIZE];
    uint64_t first_lsn, last_lsn;
    uint64_t segment_size;             /* bytes of the segment that it was made of */
    uint64_t size;                     /* bytes of the archive */
    uint64_t index_offset, index_size; /* of its last member */
    uint32_t previous, chain;          /* of the log before and behind it */
    int64_t first_ms, last_ms;         /* times of its records; 0: not known */
    uint8_t sha256[WAL_HASH_SIZE];     /* of the archive's bytes */
    bool sealed;                       /* the segment had a seal … */
    uint8_t root[WAL_HASH_SIZE];       /* … with this root */
    size_t cover_count;                /* subtrees of the tree of all records that cover it */
    uint8_t cover[ARCHIVE_COVER_MAX][WAL_HASH_SIZE];
    uint64_t dropped_lsn; /* of the record that says so; 0: it is here */
    int64_t dropped_ms;
    char dropped_by[ARCHIVE_ACTOR_SIZE];
};

struct archive_manifest {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    struct archive_entry *entries; /* ascending; dense from the first one on */
    size_t count;
};

extern const char archive_manifest_name[];

/* Read the manifest in `dir`; none is an empty one. WF_DAMAGE. Heap; deinit it. */
enum wf_status archive_manifest_read(struct io *io, const char *dir,
                                     struct archive_manifest *manifest, struct wf_error *err);
/* Write it aside, sync, rename, sync the directory. */
enum wf_status archive_manifest_write(struct io *io, const char *dir,
                                      const struct archive_manifest *manifest,
                                      struct wf_error *err);
/* Append a copy. WF_NO_MEMORY. */
enum wf_status archive_manifest_add(struct archive_manifest *manifest,
                                    const struct archive_entry *entry, struct wf_error *err);
void archive_manifest_deinit(struct archive_manifest *manifest);
/* The entry of that LSN; NULL: none. */
const struct archive_entry *archive_manifest_find(const struct archive_manifest *manifest,
                                                  uint64_t lsn);

#endif
