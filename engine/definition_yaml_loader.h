/* What the three files that read a definition from YAML share. */
#ifndef ENGINE_DEFINITION_YAML_LOADER_H
#define ENGINE_DEFINITION_YAML_LOADER_H

#include "base/bytes.h"
#include "engine/core/definition.h"

#include <yaml.h>

/* One definition being read. Every function that returns bool returns false after it has set the
 * error. */
struct loader {
    const char *source_name;
    struct wf_error *err;
    enum wf_status status; /* of the first failure */
    yaml_document_t document;
    struct definition *definition;
    /* What is resolved when all names are known; NULL where the member is absent. */
    const yaml_node_t *stage_nodes[DEFINITION_STAGES_MAX];
    const yaml_node_t *stage_needs[DEFINITION_STAGES_MAX];
    const yaml_node_t *step_nodes[DEFINITION_STEPS_MAX];
    const yaml_node_t *step_completes[DEFINITION_STEPS_MAX];
    bool four_eyes; /* for all stages */
};

/* --- definition_yaml.c --- */

/* "source:LINE:COLUMN: words". Line and column count from 1. */
bool loader_fail(struct loader *loader, size_t line, size_t column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool loader_fail_at(struct loader *loader, const yaml_node_t *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool loader_fail_memory(struct loader *loader);

/* --- definition_yaml_value.c: `what` begins the sentence of an error --- */

const char *loader_type_name(const yaml_node_t *node);    /* "a list", … */
struct bytes_view loader_text(const yaml_node_t *node);   /* of a scalar */
struct bytes_view loader_quoted(const yaml_node_t *node); /* the same, fit to stand in an error */
bool loader_is_plain(const yaml_node_t *node, const char *word); /* this word, without quotes */
bool loader_copy(struct loader *loader, struct bytes_view text, char **out);
bool loader_check_scalar(struct loader *loader, const yaml_node_t *node, const char *what);
bool loader_check_name(struct loader *loader, const yaml_node_t *node, const char *what);
bool loader_read_name(struct loader *loader, const yaml_node_t *node, const char *what, char **out);
bool loader_read_number(struct loader *loader, const yaml_node_t *node, const char *what,
                        uint32_t max, uint32_t *out);
bool loader_read_bool(struct loader *loader, const yaml_node_t *node, const char *what, bool *out);
bool loader_read_duration(struct loader *loader, const yaml_node_t *node, const char *what,
                          int64_t min_ms, int64_t *out);

/* A mapping's members, each with the function that reads it into `target`. */
struct loader_member {
    const char *name;
    bool (*read)(struct loader *loader, const yaml_node_t *value, void *target);
    bool required;
};
/* Unknown members, ones that stand twice and required ones that are missing are errors. */
bool loader_read_mapping(struct loader *loader, const yaml_node_t *node, const char *what,
                         const struct loader_member *members, size_t count, void *target);
/* The index-th element of a list; NULL behind its end. */
const yaml_node_t *loader_element(struct loader *loader, const yaml_node_t *list, size_t index);
bool loader_check_list(struct loader *loader, const yaml_node_t *node, const char *what,
                       size_t count_max);

/* --- definition_yaml_tree.c --- */

/* Fill loader->definition from the document and resolve its names. */
bool loader_read_definition(struct loader *loader, const yaml_node_t *root);

#endif
