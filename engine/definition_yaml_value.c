/* Scalars, mappings and lists of a definition's YAML, with the errors that they can have. */
#include "engine/core/text.h"
#include "engine/definition_yaml_loader.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *loader_type_name(const yaml_node_t *node) {
    return node->type == YAML_MAPPING_NODE    ? "a mapping"
           : node->type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a single value";
}

static bool is_plain(const yaml_node_t *node) {
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool loader_is_plain(const yaml_node_t *node, const char *word) {
    return is_plain(node) && text_equal(loader_text(node), word);
}

struct bytes_view loader_text(const yaml_node_t *node) {
    return (struct bytes_view){node->data.scalar.value, node->data.scalar.length};
}

static bool is_null(const yaml_node_t *node) {
    struct bytes_view text = loader_text(node);
    return is_plain(node) &&
           (text_equal(text, "") || text_equal(text, "~") || text_equal(text, "null"));
}

/* A scalar as an error may quote it. */
struct bytes_view loader_quoted(const yaml_node_t *node) {
    struct bytes_view text = loader_text(node);
    return text_is_name(text, 2 * DEFINITION_NAME_MAX) ? text : text_view("…");
}

bool loader_check_scalar(struct loader *loader, const yaml_node_t *node, const char *what) {
    if (node->type != YAML_SCALAR_NODE)
        return loader_fail_at(loader, node, "%s must be a single value, not %s", what,
                              loader_type_name(node));
    if (is_null(node))
        return loader_fail_at(loader, node, "%s is empty", what);
    return true;
}

bool loader_copy(struct loader *loader, struct bytes_view text, char **out) {
    *out = malloc(text.size + 1);
    if (*out == NULL)
        return loader_fail_memory(loader);
    memcpy(*out, text.data, text.size);
    (*out)[text.size] = '\0';
    return true;
}

bool loader_check_name(struct loader *loader, const yaml_node_t *node, const char *what) {
    if (!loader_check_scalar(loader, node, what))
        return false;
    if (!text_is_name(loader_text(node), DEFINITION_NAME_MAX))
        return loader_fail_at(loader, node, "%s must have 1 to %d bytes without control characters",
                              what, DEFINITION_NAME_MAX);
    return true;
}

bool loader_read_name(struct loader *loader, const yaml_node_t *node, const char *what,
                      char **out) {
    return loader_check_name(loader, node, what) && loader_copy(loader, loader_text(node), out);
}

bool loader_read_number(struct loader *loader, const yaml_node_t *node, const char *what,
                        uint32_t max, uint32_t *out) {
    if (!loader_check_scalar(loader, node, what))
        return false;
    struct bytes_view text = loader_text(node);
    uint64_t value = 0;
    bool good = is_plain(node) && text.size <= 10 && text_number(text, &value);
    if (!good || value < 1 || value > max)
        return loader_fail_at(loader, node,
                              "%s must be a whole number from 1 to %" PRIu32 ", not \"%.*s\"", what,
                              max, TEXT_ARGS(loader_quoted(node)));
    *out = (uint32_t)value;
    return true;
}

bool loader_read_bool(struct loader *loader, const yaml_node_t *node, const char *what, bool *out) {
    if (!loader_check_scalar(loader, node, what))
        return false;
    *out = is_plain(node) && text_equal(loader_text(node), "true");
    if (!*out && !(is_plain(node) && text_equal(loader_text(node), "false")))
        return loader_fail_at(loader, node, "%s must be true or false, not \"%.*s\"", what,
                              TEXT_ARGS(loader_quoted(node)));
    return true;
}

bool loader_read_duration(struct loader *loader, const yaml_node_t *node, const char *what,
                          int64_t min_ms, int64_t *out) {
    if (!loader_check_scalar(loader, node, what))
        return false;
    struct bytes_view text = loader_text(node);
    if (!definition_duration_parse((const char *)text.data, text.size, out) || *out < min_ms)
        return loader_fail_at(
            loader, node,
            "%s must be a duration such as 30s, 5m, 2h or 30d, up to 36500d, not \"%.*s\"", what,
            TEXT_ARGS(loader_quoted(node)));
    return true;
}

/* --- mappings and lists --- */

static const yaml_node_t *node_at(struct loader *loader, int index) {
    return yaml_document_get_node(&loader->document, index);
}

static bool fail_unknown(struct loader *loader, const yaml_node_t *key, const char *what,
                         const struct loader_member *members, size_t count) {
    char known[200] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", members[i].name);
    }
    return loader_fail_at(loader, key, "%s has no member \"%.*s\"; there are %s", what,
                          TEXT_ARGS(loader_quoted(key)), known);
}

/* Read one pair; `seen` has a bit for each member that came before. */
static bool read_pair(struct loader *loader, const yaml_node_t *key, const yaml_node_t *value,
                      const char *what, const struct loader_member *members, size_t count,
                      void *target, uint32_t *seen) {
    if (key->type != YAML_SCALAR_NODE)
        return loader_fail_at(loader, key, "a member's name must be a single value, not %s",
                              loader_type_name(key));
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(loader_text(key), members[i].name))
            continue;
        if ((*seen & 1U << i) != 0)
            return loader_fail_at(loader, key, "%s has the member %s twice", what, members[i].name);
        *seen |= 1U << i;
        return members[i].read(loader, value, target);
    }
    return fail_unknown(loader, key, what, members, count);
}

bool loader_read_mapping(struct loader *loader, const yaml_node_t *node, const char *what,
                         const struct loader_member *members, size_t count, void *target) {
    if (node->type != YAML_MAPPING_NODE)
        return loader_fail_at(loader, node, "%s must be a mapping of members, not %s", what,
                              loader_type_name(node));
    uint32_t seen = 0;
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        if (!read_pair(loader, node_at(loader, pair->key), node_at(loader, pair->value), what,
                       members, count, target, &seen))
            return false;
    for (size_t i = 0; i < count; i++)
        if (members[i].required && (seen & 1U << i) == 0)
            return loader_fail_at(loader, node, "%s lacks the member %s", what, members[i].name);
    return true;
}

const yaml_node_t *loader_element(struct loader *loader, const yaml_node_t *list, size_t index) {
    size_t count = (size_t)(list->data.sequence.items.top - list->data.sequence.items.start);
    return index < count ? node_at(loader, list->data.sequence.items.start[index]) : NULL;
}

bool loader_check_list(struct loader *loader, const yaml_node_t *node, const char *what,
                       size_t count_max) {
    if (node->type != YAML_SEQUENCE_NODE)
        return loader_fail_at(loader, node, "%s must be a list, not %s", what,
                              loader_type_name(node));
    const yaml_node_t *beyond = loader_element(loader, node, count_max);
    if (beyond != NULL)
        return loader_fail_at(loader, beyond, "%s has more than %zu entries", what, count_max);
    return true;
}
