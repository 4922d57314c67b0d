/* What a snapshot knows of a loss: the state as it was, held against the one that the records which
 * stay come to. */
#ifndef ENGINE_AFTERMATH_COMPARE_H
#define ENGINE_AFTERMATH_COMPARE_H

#include "engine/aftermath.h"
#include "store/snapshot.h"

/* Hold `snapshot` against the state so far: that of all records up to the snapshot's LSN. What
 * differs takes the place of all that was concluded from the records. Where the snapshot cannot be
 * read, nothing changes. WF_NO_MEMORY. */
enum wf_status aftermath_compare(struct aftermath *aftermath, struct snapshot *snapshot,
                                 struct wf_error *err);

#endif
