#include "tools/wfctl/operations.h"

#include "base/error.h"
#include "engine/core/operation_texts.h"
#include "tools/wfctl/format.h"

#include <jansson.h>
#include <string.h>

static enum wf_status take_rules(struct operations *operations, struct wf_operation *operation,
                                 const json_t *value, struct wf_error *err) {
    if (!json_is_array(value))
        return error_set(err, WF_USAGE, "member 'rules' must be an array of strings");
    size_t count = json_array_size(value);
    if (count > WF_RULES_MAX ||
        operations->rule_count + count > sizeof operations->rules / sizeof operations->rules[0])
        return error_set(err, WF_USAGE, "too many rules");
    operation->rules = &operations->rules[operations->rule_count];
    operation->rule_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *rule = json_string_value(json_array_get(value, i));
        if (!rule)
            return error_set(err, WF_USAGE, "member 'rules' must be an array of strings");
        operations->rules[operations->rule_count++] = rule;
    }
    return WF_OK;
}

/* Where a member's string goes; NULL: it is none of these. */
static const char **member_place(struct wf_operation *operation, const char *name) {
    const struct {
        const char *name;
        const char **to;
    } members[] = {
#define MEMBER(name, words, size_max, kinds) {#name, &operation->name},
        OPERATION_TEXTS(MEMBER)
#undef MEMBER
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (strcmp(members[i].name, name) == 0)
            return members[i].to;
    return NULL;
}

static enum wf_status take_member(struct operations *operations, struct wf_operation *operation,
                                  const char *name, const json_t *value, struct wf_error *err) {
    if (strcmp(name, "rules") == 0)
        return take_rules(operations, operation, value, err);
    const char **to = member_place(operation, name);
    bool expires = strcmp(name, "expires_in") == 0;
    if (!to && !expires)
        return error_set(err, WF_USAGE, "unknown member '%s'", name);
    if (!json_is_string(value))
        return error_set(err, WF_USAGE, "member '%s' must be a string", name);
    if (json_string_length(value) == 0) /* which would be as if it were not there */
        return error_set(err, WF_USAGE, "member '%s' is empty: leave it out, or say what it is",
                         name);
    if (to)
        *to = json_string_value(value);
    else if (!parse_duration(json_string_value(value), &operation->expires_in_ms))
        return error_set(err, WF_USAGE, "'%s' is no duration such as 30s, 5m, 2h or 30d",
                         json_string_value(value));
    else if (operation->expires_in_ms == 0) /* which would be never */
        return error_set(err, WF_USAGE, "member 'expires_in' must be more than nothing");
    return WF_OK;
}

enum wf_status operations_read(struct operations *operations, const json_t *json,
                               struct wf_error *err) {
    operations->count = operations->rule_count = 0;
    if (!json_is_array(json))
        return error_set(err, WF_USAGE, "member 'ops' must be an array of operations");
    if (json_array_size(json) > WF_OPERATIONS_MAX)
        return error_set(err, WF_USAGE, "more than %d operations", WF_OPERATIONS_MAX);
    for (size_t i = 0; i < json_array_size(json); i++) {
        json_t *object = json_array_get(json, i);
        struct wf_operation *operation = &operations->list[operations->count++];
        *operation = (struct wf_operation){0};
        if (!json_is_object(object))
            return error_set(err, WF_USAGE, "operation %zu is no object", i + 1);
        const char *name;
        json_t *value;
        json_object_foreach(object, name, value) {
            enum wf_status status = take_member(operations, operation, name, value, err);
            if (status != WF_OK)
                return error_wrap(err, status, "operation %zu", i + 1);
        }
    }
    return WF_OK;
}
