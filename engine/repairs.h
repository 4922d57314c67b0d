/* Earlier repairs, as the records of the log tell of them: their own, and, where those were dropped
 * with the archives, the record of the drop. */
#ifndef ENGINE_REPAIRS_H
#define ENGINE_REPAIRS_H

#include "engine/aftermath.h"

struct repairs {
    struct wf_repair *at; /* oldest first */
    size_t count;
    struct wf_log_losses told; /* what they say that went with the loss; `records` too */
    bool counted;              /* one of them says it */
};

void repairs_init(struct repairs *repairs);
void repairs_deinit(struct repairs *repairs);
/* What this record, whose `lsn` is set, tells of repairs. WF_NO_MEMORY. */
enum wf_status repairs_see(struct repairs *repairs, const struct record *record,
                           struct wf_error *err);

/* As the record of a drop has them: "repaired" is "FIRST-LAST@MS#LSN,…", the newest where not all
 * have room; and the sums of what went with them. */
enum { REPAIRS_TEXT_MAX = 8192 };
struct repairs_fields {
    struct field fields[AFTERMATH_FIELDS + 1];
    struct aftermath_fields sums;
    char text[REPAIRS_TEXT_MAX];
    size_t count; /* 0: there was no repair */
};
/* `out` borrows from `repairs`. */
void repairs_to_fields(const struct repairs *repairs, struct repairs_fields *out);

#endif
