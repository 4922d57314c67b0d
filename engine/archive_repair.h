/* The archives' manifest made anew, where it is damaged, lost, or names less than is there. */
#ifndef ENGINE_ARCHIVE_REPAIR_H
#define ENGINE_ARCHIVE_REPAIR_H

#include "engine/damage.h"

/* Does nothing where nothing is wrong. What was done, and what had to be left out, is added to the
 * report. The caller owns the store. */
enum wf_status archive_repair(struct io *io, const char *dir, struct damage_report *report,
                              struct wf_error *err);
/* Would it make a manifest? Changes nothing; `*needed` is told in the report too. */
enum wf_status archive_repair_plan(struct io *io, const char *dir, struct damage_report *report,
                                   bool *needed, struct wf_error *err);

#endif
