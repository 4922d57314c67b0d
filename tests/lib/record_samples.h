/* A record of each kind of event, with everything in it that such a record can have. Owns nothing:
 * what they point to is static, or the caller's. The bytes of them are in tests/golden/record-1:
 * what is here may be added to, and not changed. */
#ifndef TESTS_LIB_RECORD_SAMPLES_H
#define TESTS_LIB_RECORD_SAMPLES_H

#include "engine/core/event.h"

enum { EVENT_KINDS_END = 100 }; /* more than the last; there are gaps */

extern const struct field sample_fields[2];

/* The loan application, to be destroyed. */
struct definition *sample_definition(void);
/* `definition` for EVENT_DEFINITION_ADDED; borrowed. */
struct event sample_event(enum event_kind kind, struct definition *definition);
/* A record around one event, which is borrowed. */
struct record sample_record(struct event *event);

#endif
