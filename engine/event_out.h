/* Records made into the host's events: names in place of numbers, terminated strings. */
#ifndef ENGINE_EVENT_OUT_H
#define ENGINE_EVENT_OUT_H

#include "engine/codec.h"
#include "engine/wf.h"
#include "store/archive_manifest.h"

/* Hand every event of the record to `on_event`. `definition` (NULL: not at hand) names its stages
 * and steps; `ineffective`: a repair left it without effect. Strings live in `arena`. `*more`
 * false: the callback asked to stop. WF_NO_MEMORY. */
enum wf_status event_out_record(struct codec_arena *arena, const struct record *record,
                                const struct definition *definition, bool ineffective,
                                wf_event_fn on_event, void *ctx, bool *more, struct wf_error *err);
/* Names of what no record says itself. */
#define EVENT_OUT_LOST "record_lost"
#define EVENT_OUT_DROPPED "records_dropped"
/* The event that stands for a record which a repair dropped. */
bool event_out_lost(uint64_t lsn, wf_event_fn on_event, void *ctx);
/* The event that stands, at `lsn`, for records that were dropped with others. */
bool event_out_dropped(const struct archive_entry *range, uint64_t lsn, wf_event_fn on_event,
                       void *ctx);

#endif
