/* Definitions to and from their protobuf message; a part of the codec, used by codec.c alone. */
#ifndef ENGINE_CODEC_DEFINITION_H
#define ENGINE_CODEC_DEFINITION_H

#include "engine/codec.h"

#include "engine/schema/record.pb-c.h"

/* The message borrows the definition's strings; it and its arrays live in the arena. NULL: no
 * memory. */
Wf__Pb__Definition *codec_definition_to_message(struct codec_arena *arena,
                                                const struct definition *definition);
/* A new definition on the heap, checked by definition_check(). WF_DAMAGE, WF_NO_MEMORY. */
enum wf_status codec_definition_from_message(const Wf__Pb__Definition *message,
                                             struct definition **out, struct wf_error *err);

#endif
