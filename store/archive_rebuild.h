/* The manifest made anew from the archive files, which describe themselves: for a store whose
 * manifest was lost or damaged. */
#ifndef STORE_ARCHIVE_REBUILD_H
#define STORE_ARCHIVE_REBUILD_H

#include "store/archive.h"

/* Is the manifest unreadable, or is an archive here that it does not name and whose segment is not
 * in the log, which begins at `live_lsn`? */
enum wf_status archive_needs_rebuild(struct io *io, const char *dir,
                                     const uint8_t store_id[WAL_STORE_ID_SIZE], uint64_t live_lsn,
                                     bool *needs, struct wf_error *err);

/* Describe every archive before `live_lsn` from its file alone, in order, into `manifest` (heap;
 * deinit it), and hand its records to `on_record` (may be NULL). One that cannot be described, and
 * all before it, are left out and told to `on_finding`: a manifest has no gaps. Of a damaged block
 * the index tells enough. Changes nothing. */
enum wf_status archive_describe(struct io *io, const char *dir,
                                const uint8_t store_id[WAL_STORE_ID_SIZE], uint64_t live_lsn,
                                const struct archive_hints *hints, wal_record_fn on_record,
                                wal_finding_fn on_finding, void *ctx,
                                struct archive_manifest *manifest, struct wf_error *err);

/* Put `manifest` in the place of the one that is there, which is kept as "manifest.damaged". */
enum wf_status archive_replace_manifest(struct io *io, const char *dir,
                                        const struct archive_manifest *manifest,
                                        struct wf_error *err);

#endif
