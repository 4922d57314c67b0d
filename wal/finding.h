/* Tells a gap of wal/scan.h in the words of wal.h, with the bytes that are left of it. */
#ifndef WAL_FINDING_H
#define WAL_FINDING_H

#include "wal/scan.h"

enum { WAL_REMAINS_MAX = 64 * 1024 }; /* bytes of a damaged record that are handed out */

/* Call `on_finding` (may be NULL) for `gap`. The remains start where the payload of the first
 * damaged frame would; a file that cannot be read has none. */
enum wf_status wal_finding_tell(const struct wal_directory *directory, const struct wal_gap *gap,
                                wal_finding_fn on_finding, void *ctx, struct wf_error *err);

#endif
