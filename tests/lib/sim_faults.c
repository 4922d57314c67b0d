#include "tests/lib/sim_faults.h"

#include <stdlib.h>
#include <string.h>

void sim_faults_deinit(struct sim_faults *faults) {
    for (size_t i = 0; i < faults->count; i++) {
        sim_name_release(faults->rules[i].path);
        sim_name_release(faults->rules[i].victim);
    }
    free(faults->rules);
    *faults = (struct sim_faults){0};
}

static struct sim_name *keep(const char **text) {
    if (*text == NULL) {
        return NULL;
    }
    struct sim_name *name = sim_name_make(*text, strlen(*text));
    *text = sim_name_text(name);
    return name;
}

void sim_faults_add(struct sim_faults *faults, const struct sim_fault *fault) {
    struct sim_fault_rule rule = {.fault = *fault};
    rule.path = keep(&rule.fault.path);
    rule.victim = keep(&rule.fault.victim);
    rule.fault.nth = fault->nth == 0 ? 1 : fault->nth;
    faults->rules = sim_grow(faults->rules, faults->count, &faults->capacity, sizeof rule);
    faults->rules[faults->count++] = rule;
}

const struct sim_fault *sim_faults_match(struct sim_faults *faults, enum sim_op op,
                                         const char *path) {
    const struct sim_fault *hit = NULL;
    for (size_t i = 0; i < faults->count; i++) {
        struct sim_fault_rule *rule = &faults->rules[i];
        const struct sim_fault *fault = &rule->fault;
        if (fault->op != op || !sim_path_ends(path, fault->path)) {
            continue;
        }
        rule->seen++;
        bool hits = rule->seen == fault->nth || (fault->persistent && rule->seen > fault->nth);
        hit = hit == NULL && hits ? fault : hit;
    }
    faults->hits += hit != NULL;
    return hit;
}

bool sim_path_ends(const char *path, const char *end) {
    if (end == NULL) {
        return true;
    }
    size_t path_size = strlen(path);
    size_t end_size = strlen(end);
    return path_size >= end_size && strcmp(path + path_size - end_size, end) == 0;
}

const char *sim_op_name(enum sim_op op) {
    static const char *const names[SIM_OP_COUNT] = {
        [SIM_OPEN] = "open",
        [SIM_CLOSE] = "close",
        [SIM_SIZE] = "size",
        [SIM_READ] = "read",
        [SIM_WRITE] = "write",
        [SIM_SYNC] = "sync",
        [SIM_TRUNCATE] = "truncate",
        [SIM_PREALLOCATE] = "preallocate",
        [SIM_LOCK] = "lock",
        [SIM_IS_LOCKED] = "is_locked",
        [SIM_STAT] = "stat",
        [SIM_LIST] = "list",
        [SIM_MAKE_DIRECTORY] = "make_directory",
        [SIM_RENAME] = "rename",
        [SIM_REMOVE] = "remove",
        [SIM_SYNC_DIRECTORY] = "sync_directory",
        [SIM_RANDOM] = "random",
        [SIM_POINT] = "point",
    };
    return op < SIM_OP_COUNT ? names[op] : "?";
}
