/* The state after the last record that was dropped, as pairs of the snapshot in one compressed
 * file: what a replay begins with where the first records are gone. Owns that file. Keys and values
 * are opaque; store/FORMAT.md has the bytes. */
#ifndef STORE_ARCHIVE_STATE_H
#define STORE_ARCHIVE_STATE_H

#include "store/archive.h"

struct archive_state_writer;

/* Begin the file of the state after record `lsn`, aside. */
enum wf_status archive_state_create(struct archive *archive, uint64_t lsn,
                                    struct archive_state_writer **out, struct wf_error *err);
/* Add one pair; copied. */
enum wf_status archive_state_add(struct archive_state_writer *writer, struct bytes_view key,
                                 struct bytes_view value, struct wf_error *err);
/* Finish it: synced, renamed, the directory synced. `writer` is gone whatever this returns. */
enum wf_status archive_state_commit(struct archive_state_writer *writer, struct wf_error *err);
void archive_state_abandon(struct archive_state_writer *writer); /* takes NULL */

typedef enum wf_status (*archive_pair_fn)(void *ctx, struct bytes_view key, struct bytes_view value,
                                          struct wf_error *err);
/* The pairs of the state after record `lsn`, in the order in which they were added. Views are valid
 * during the callback. WF_DAMAGE: it is missing, cut or damaged. */
enum wf_status archive_state_walk(struct archive *archive, uint64_t lsn, archive_pair_fn on_pair,
                                  void *ctx, struct wf_error *err);

/* The same, for nobody: can it be read? */
enum wf_status archive_state_check(struct archive *archive, uint64_t lsn, struct wf_error *err);

enum { ARCHIVE_STATE_NAME_SIZE = 40 };
void archive_state_name(uint64_t lsn, char name[ARCHIVE_STATE_NAME_SIZE]);

#endif
