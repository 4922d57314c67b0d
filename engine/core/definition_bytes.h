/* A definition as canonical bytes: equal content, equal bytes. Part of its snapshot value. */
#ifndef CORE_DEFINITION_BYTES_H
#define CORE_DEFINITION_BYTES_H

#include "base/bytes.h"
#include "engine/core/definition.h"

/* All of it, source included. */
void definition_write(struct bytes_buffer *out, const struct definition *definition);
/* A new definition on the heap that passes definition_check(). WF_DAMAGE, WF_NO_MEMORY. */
enum wf_status definition_read(struct bytes_reader *reader, struct definition **out,
                               struct wf_error *err);

#endif
