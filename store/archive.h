/* Compressed segments: `DIR/archive/` with a gzip file for each and one manifest. Owns those files.
 * An archive gives back every frame of its segment as it stood in the log; payloads are opaque but
 * for the hints that say which of their members compress well together. store/FORMAT.md has the
 * bytes.
 *
 * Reading is for any thread; adding and dropping are serialised by the caller, but that a segment
 * may be compressed while another is entered. */
#ifndef STORE_ARCHIVE_H
#define STORE_ARCHIVE_H

#include "store/archive_block.h"
#include "store/archive_manifest.h"

struct archive;

/* Open what is in `dir`, which may be missing: then nothing is archived. WF_DAMAGE: the manifest is
 * damaged or of another store. */
enum wf_status archive_open(struct io *io, const char *dir,
                            const uint8_t store_id[WAL_STORE_ID_SIZE], struct archive **out,
                            struct wf_error *err);
void archive_close(struct archive *archive); /* takes NULL */
/* Read the manifest anew: another process may have archived more. */
enum wf_status archive_refresh(struct archive *archive, struct wf_error *err);

size_t archive_count(struct archive *archive);
/* A copy. False: there is no such index (0 is the oldest). */
bool archive_at(struct archive *archive, size_t index, struct archive_entry *entry);
uint64_t archive_first_lsn(struct archive *archive); /* that was not dropped; 0: nothing is here */
uint64_t archive_last_lsn(struct archive *archive);  /* 0: nothing was ever archived */

struct archive_options {
    unsigned threads; /* 1: only the caller's own */
    struct archive_hints hints;
    void (*on_progress)(void *ctx, uint64_t bytes); /* of the segment, so far; may be NULL */
    void *ctx;
};
/* An archive that is written aside and not entered yet. */
struct archive_adding;
/* Compress the segment, which is sealed, into a file aside. The segment's file is left as it is.
 * What a crash left of an earlier attempt is written over. `*out` is NULL where the manifest has it
 * already. Beside another's finish: a segment can be compressed while the one before it is entered.
 * WF_DAMAGE: the segment is damaged. */
enum wf_status archive_add_begin(struct archive *archive, const char *wal_dir,
                                 const struct wal_segment_info *segment,
                                 const struct archive_options *options, struct archive_adding **out,
                                 struct wf_error *err);
/* Sync it, rename it, read it back, and enter it in the manifest, whose last archive it follows.
 * Frees `adding` in any case. */
enum wf_status archive_add_finish(struct archive *archive, struct archive_adding *adding,
                                  struct wf_error *err);
/* Instead of finishing: its file is a stray now. Takes NULL. */
void archive_add_discard(struct archive *archive, struct archive_adding *adding);
/* Remove the remains of a crash: files that are not finished, that were dropped, or whose segment
 * is still in the log, which begins at `live_lsn`. An archive that the manifest does not name and
 * that nothing else has stays: perhaps it is the manifest that was lost. */
enum wf_status archive_tidy(struct archive *archive, uint64_t live_lsn, struct wf_error *err);

/* Write the manifest, as it is known here, into another folder, which holds copies of the files. */
enum wf_status archive_write_manifest(struct archive *archive, const char *dir,
                                      struct wf_error *err);

/* Why archives were dropped: kept in the manifest. */
struct archive_drop {
    uint64_t lsn; /* of the record that says so */
    int64_t time_ms;
    const char *actor;
};
/* Drop every archive that ends before `before_lsn`: their hashes stay in the manifest. The manifest
 * first, then the files. */
enum wf_status archive_drop(struct archive *archive, uint64_t before_lsn,
                            const struct archive_drop *why, struct wf_error *err);
/* The last LSN that was dropped; 0: none was. All before it were dropped too. */
uint64_t archive_dropped_lsn(struct archive *archive);
/* Was this record dropped? Then `range` is what went with it: LSNs, and who, when and by which
 * record. */
bool archive_dropped(struct archive *archive, uint64_t lsn, struct archive_entry *range);

/* Read one record by decompressing one block. `record->payload` lives in `buffer`. WF_NOT_FOUND: it
 * is not here, or was dropped. WF_DAMAGE. */
enum wf_status archive_read(struct archive *archive, uint64_t lsn, struct bytes_buffer *buffer,
                            struct wal_record *record, struct wf_error *err);
/* The records from `first_lsn` to `last_lsn`, both included, in order. WF_NOT_FOUND: some are not
 * here. */
enum wf_status archive_walk(struct archive *archive, uint64_t first_lsn, uint64_t last_lsn,
                            wal_record_fn on_record, void *ctx, struct wf_error *err);
/* One archive file without its store. `*is_archive` false: it is none, and nothing was done. */
enum wf_status archive_walk_file(struct io *io, const char *path, bool *is_archive,
                                 wal_record_fn on_record, void *ctx, struct wf_error *err);

/* Decompress and check everything and go on behind damage: as wal_verify(). */
enum wf_status archive_verify(struct archive *archive, wal_record_fn on_record,
                              wal_finding_fn on_finding, void *ctx, struct wf_error *err);

/* Takes the tree of all records piece by piece: see engine/audit_tree.h. */
struct archive_tree {
    void *ctx;
    /* The next index that must not lie inside a piece. */
    uint64_t (*boundary)(void *ctx);
    enum wf_status (*add)(void *ctx, unsigned level, const uint8_t hash[WAL_HASH_SIZE],
                          struct wf_error *err);
};
/* Hand over the leaves [first, end) of the tree in pieces as large as may be: from the manifest,
 * from an index, and only where a boundary wants it from the records themselves. WF_NOT_FOUND: a
 * boundary lies among records that were dropped. */
enum wf_status archive_hash(struct archive *archive, uint64_t first, uint64_t end,
                            const struct archive_tree *tree, struct wf_error *err);

/* The names of the instants that archiving and dropping announce; NULL after the last. */
const char *const *archive_points(void);

#endif
