/* The named instants that a host can listen to. */
#include "engine/wf.h"

#include <stddef.h>

/* tests/unit/test_points.c holds this against what wal/ and store/ announce. */
static const char *const points[] = {
    "wal.before_write",       "wal.after_write",
    "wal.before_sync",        "wal.after_sync",
    "wal.before_seal",        "wal.after_seal",
    "wal.before_create",      "wal.after_create",
    "wal.before_cut",         "wal.after_cut",
    "snapshot.before_commit", "snapshot.after_commit",
    "archive.before_rename",  "archive.after_rename",
    "archive.after_manifest", "archive.before_delete",
    "archive.after_delete",   "drop.before_record",
    "drop.after_record",      "drop.after_manifest",
    "drop.after_delete",      NULL,
};

const char *const *wf_points(void) {
    return points;
}
