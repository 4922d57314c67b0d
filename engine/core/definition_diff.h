/* What differs between two versions of a definition, by name and in words. */
#ifndef CORE_DEFINITION_DIFF_H
#define CORE_DEFINITION_DIFF_H

#include "engine/core/definition.h"

/* Valid during the callback. */
struct definition_change {
    const char *change; /* "added", "removed" or "changed" */
    const char *kind;   /* "stage" or "step" */
    const char *name;   /* of the stage or step */
    const char *member; /* "needs", "timeout", …, as in the YAML; NULL: all of it */
    const char *before; /* NULL: nothing */
    const char *after;  /* likewise */
};
/* False: stop. */
typedef bool (*definition_change_fn)(void *ctx, const struct definition_change *change);

/* Stages first, then steps, each in the order of `one`, then what `other` has beyond that. One that
 * was added or removed is told whole (member NULL), then member by member. WF_NO_MEMORY. */
enum wf_status definition_diff(const struct definition *one, const struct definition *other,
                               definition_change_fn on_change, void *ctx, struct wf_error *err);

#endif
