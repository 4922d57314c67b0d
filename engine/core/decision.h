/* Writing a decision: what the machines' decide functions share. */
#ifndef CORE_DECISION_H
#define CORE_DECISION_H

#include "engine/core/decide.h"

/* The next event, its kind set and all else for the caller to fill. There is always room: a
 * record's most events are bounded by the stages of a definition. */
struct event *decision_add(struct decision *decision, enum event_kind kind);
/* The command cannot be judged, or breaks a rule of the store: `status` and words, no event. */
void decision_fail(struct decision *decision, enum wf_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A rule about the subject says no: WF_REFUSED and words, with an event for the subject's history.
 * Drops events added before. */
void decision_refuse(struct decision *decision, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* At this time the same would be decided otherwise, perhaps. */
void decision_same_until(struct decision *decision, int64_t time_ms);
/* More words; what does not fit is cut at a character. */
void decision_append(struct decision *decision, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
