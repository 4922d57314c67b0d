/* A workflow definition as data: steps, data items, stages. Owns its names; knows no file format
 * (engine/definition_yaml.c reads YAML, engine/codec.c the log). Immutable once it was validated.
 */
#ifndef CORE_DEFINITION_H
#define CORE_DEFINITION_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DEFINITION_STAGES_MAX = 64, /* sets of stages are one 64-bit mask */
    DEFINITION_STEPS_MAX = 64,
    DEFINITION_ITEMS_MAX = 64,
    DEFINITION_REQUIRES_MAX = 64, /* fields that one step requires */
    DEFINITION_ARGS_MAX = 32,     /* words of one handler's command */
    DEFINITION_NAME_MAX = 64,     /* bytes of any name */
    DEFINITION_ATTEMPTS_DEFAULT = 3,
    DEFINITION_ATTEMPTS_MAX = 1000000,
    DEFINITION_HANDLER_ATTEMPTS_DEFAULT = 5,
    DEFINITION_HANDLER_TIMEOUT_DEFAULT_MS = 60 * 1000,
    DEFINITION_HANDLER_BACKOFF_DEFAULT_MS = 1000,
    DEFINITION_SOURCE_MAX = 256 * 1024, /* bytes of the text it was made from */
    DEFINITION_DURATION_SIZE = 24,      /* bytes of a duration as text, with its terminator */
};

/* A hundred years: no sum of a time and a duration leaves 64 bits. */
#define DEFINITION_DURATION_MAX_MS (INT64_C(36500) * 24 * 3600 * 1000)

/* Who must agree when a rollback reaches the stage, or when it times out or fails. */
enum rollback_strategy {
    ROLLBACK_AUTOMATIC = 1,
    ROLLBACK_MANUAL_REVIEW,
    ROLLBACK_HOLD_FOR_REVIEW,
    ROLLBACK_EXECUTIVE_REVIEW,
};

/* What does a stage's work, or undoes it: an external program, or a C callback of the host. */
struct definition_handler {
    char *args[DEFINITION_ARGS_MAX]; /* the program, then its arguments */
    size_t arg_count;                /* 0 and no callback: no handler */
    bool callback; /* the function that the host registers under the stage's name */
    int64_t timeout_ms;
    uint32_t attempts;
    int64_t backoff_ms;
};

struct definition_stage {
    char *name;
    char *outcome;           /* label of the answer that activates it; NULL: the stage's name */
    char *reviewer_role;     /* overrides the strategy's role; NULL: the strategy's own */
    uint64_t needs_stages;   /* bit i: stages[i] must be completed */
    uint64_t needs_items;    /* bit i: items[i] must have been provided */
    bool needs_all_previous; /* written as all_previous_stages (its stages are in needs_stages too)
                              */
    int64_t timeout_ms;      /* 0: none */
    enum rollback_strategy rollback;
    uint32_t attempts;
    bool four_eyes; /* the reviewer must not be the actor who asked */
    struct definition_handler handler;
    struct definition_handler compensate;
};

struct definition_step {
    char *name;
    uint64_t provides; /* bit i: items[i] */
    int completes;     /* index of the stage, or -1 */
    char *requires[DEFINITION_REQUIRES_MAX];
    uint8_t requires_sizes[DEFINITION_REQUIRES_MAX]; /* definition_measure() fills them */
    size_t requires_count;
};

struct definition {
    char *name;
    uint32_t version; /* from 1 */
    char *items[DEFINITION_ITEMS_MAX];
    size_t item_count;
    struct definition_step steps[DEFINITION_STEPS_MAX];
    size_t step_count;
    struct definition_stage stages[DEFINITION_STAGES_MAX];
    size_t stage_count;
    char *source; /* the text as it was added, for people; NULL where there is none */
};

/* An empty definition on the heap, every timeout 0, `completes` -1; NULL where memory fails. */
struct definition *definition_create(void);
void definition_destroy(struct definition *definition); /* takes NULL; frees all strings */
/* Measure what is compared with each command's fields. To be called when all is read, before
 * definition_check(). */
void definition_measure(struct definition *definition);
/* -1 where there is none of that name. */
int definition_stage_index(const struct definition *definition, const char *name, size_t size);
int definition_step_index(const struct definition *definition, const char *name, size_t size);
int definition_item_index(const struct definition *definition, const char *name, size_t size);
uint64_t definition_all_stages(const struct definition *definition); /* as a mask */
/* Is there one at all? */
bool definition_handler_given(const struct definition_handler *handler);
/* Equal in everything but the version and the source text. */
bool definition_equal(const struct definition *one, const struct definition *other);
/* "30s", "5m", "2h", "30d": a whole number up to a hundred years. False: it is none. */
bool definition_duration_parse(const char *text, size_t size, int64_t *ms);
/* And back, in the largest unit that leaves no rest. Returns `text`. */
const char *definition_duration_format(char text[DEFINITION_DURATION_SIZE], int64_t ms);
/* A stage that can never become active or never be completed, however the steps come; -1: there is
 * none. The names must have been resolved, nothing else need hold. */
int definition_stuck_stage(const struct definition *definition);
/* The whole-definition rules that need no source position: sizes, unique names, at least one stage,
 * every need can be met (each item is provided by a step, each stage is completed by a step or
 * handler), no cycle. WF_USAGE. */
enum wf_status definition_check(const struct definition *definition, struct wf_error *err);
/* "automatic", …; NULL for an unknown value. And back: 0 for an unknown word. */
const char *rollback_strategy_name(enum rollback_strategy strategy);
enum rollback_strategy rollback_strategy_parse(const char *word, size_t size);
/* The role that must decide for this stage: the stage's own, else the strategy's; NULL: nobody has
 * to. */
const char *definition_stage_role(const struct definition_stage *stage);

#endif
