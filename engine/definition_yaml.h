/* Workflow definitions from YAML: the only place that knows that format. */
#ifndef ENGINE_DEFINITION_YAML_H
#define ENGINE_DEFINITION_YAML_H

#include "engine/core/definition.h"

/* Read and check a definition; it keeps `text` as its source. Every error begins with
 * "source_name:LINE:COLUMN: ", both counted from 1, columns in characters. On failure `*out` is
 * NULL. WF_USAGE, WF_NO_MEMORY. */
enum wf_status definition_parse(const char *text, size_t size, const char *source_name,
                                struct definition **out, struct wf_error *err);

#endif
