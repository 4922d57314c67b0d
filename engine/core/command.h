/* What somebody asks of the engine: one tagged union. Borrows every byte from the caller. Time and
 * identity are fields here; the core asks no clock. */
#ifndef CORE_COMMAND_H
#define CORE_COMMAND_H

#include "base/bytes.h"
#include "engine/core/definition.h"

enum {
    COMMAND_ID_MAX = 200,     /* bytes of a workflow id, an idempotency key, an actor, a role */
    COMMAND_TEXT_MAX = 4096,  /* bytes of a reason */
    COMMAND_FIELDS_MAX = 256, /* fields of one command */
    COMMAND_FIELD_NAME_MAX = 64,
    COMMAND_FIELD_VALUE_MAX = 64 * 1024,
};

/* Values are on disk: never renumber, append only. */
enum command_kind {
    COMMAND_STORE_CREATE = 1,
    COMMAND_DEFINITION_ADD = 2,
    COMMAND_WORKFLOW_START = 3,
    COMMAND_WORKFLOW_SUBMIT = 4,
    COMMAND_WORKFLOW_FAIL = 5,
    COMMAND_WORKFLOW_CANCEL = 6,
    COMMAND_CLOCK_ADVANCE = 7,
    COMMAND_LOG_REPAIR = 8,
};

/* "workflow.submit" and the like, as wfctl and the history name them; NULL for an unknown value. */
const char *command_kind_name(enum command_kind kind);

struct field {
    struct bytes_view name;
    struct bytes_view value;
};

struct command {
    enum command_kind kind;
    int64_t now_ms;            /* the clock's reading; decide uses max(seen, now) */
    struct bytes_view subject; /* id of the workflow; name of the definition; else empty */
    struct bytes_view actor;   /* who asks; may be empty */
    struct bytes_view key;     /* idempotency key; empty: none */
    uint8_t body_hash[16]; /* of everything in the command but time and key; filled where there is a
                              key */
    union {
        struct {
            bool test_clock;
            int64_t time_ms; /* where the test clock begins */
        } store_create;
        struct {
            struct definition *definition; /* ownership passes on when its event is applied */
        } definition_add;
        struct {
            struct bytes_view type; /* name of the definition */
            uint32_t version;       /* 0: the newest */
            const struct field *fields;
            size_t field_count;
        } workflow_start;
        struct {
            struct bytes_view step;
            const struct field *fields;
            size_t field_count;
        } workflow_submit;
        struct {
            struct bytes_view stage;
            struct bytes_view reason;
        } workflow_fail;
        struct {
            struct bytes_view reason;
        } workflow_cancel;
        struct {
            int64_t by_ms; /* > 0 */
        } clock_advance;
        struct {
            uint64_t first_lsn, last_lsn; /* what was lost */
            struct bytes_view copy;       /* name of the file that keeps the damaged bytes */
        } log_repair;
    } as;
};

#endif
