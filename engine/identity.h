/* Do the log and the snapshot in a folder belong to one store? Each names its store's UUID under a
 * checksum of its own, so that another one there is no damage: somebody put it there. */
#ifndef ENGINE_IDENTITY_H
#define ENGINE_IDENTITY_H

#include "base/io.h"
#include "store/snapshot.h"
#include "wal/wal.h"

/* WF_DAMAGE where the log in `dir` is of another store than the log position that a snapshot keeps;
 * the text names the first segment by its path. WF_OK where they are of one, or where it cannot be
 * told. */
enum wf_status identity_check_log(struct io *io, const char *dir,
                                  const struct wal_position *position, struct wf_error *err);
/* The same, with the snapshot that lies in `dir`; WF_OK where there is none to be read. */
enum wf_status identity_check(struct io *io, const struct snapshot_provider *provider,
                              const char *dir, struct wf_error *err);

#endif
