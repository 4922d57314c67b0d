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
    COMMAND_WORKFLOW_ROLLBACK = 10,
    COMMAND_REVIEW_APPROVE = 11,
    COMMAND_REVIEW_REJECT = 12,
    COMMAND_TIMER_FIRE = 13, /* the engine's own: a stage's deadline has passed */
    COMMAND_CLOCK_JUMP = 14, /* the engine's own: the clock ran back or leaped */
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
            uint32_t attempt; /* of the stage that it completes; 0: whichever is under way */
            const struct field *fields;
            size_t field_count;
        } workflow_submit;
        struct {
            struct bytes_view stage;
            uint32_t attempt; /* 0: whichever is under way */
            struct bytes_view reason;
        } workflow_fail;
        struct {
            struct bytes_view reason;
            bool rollback; /* undo all stages first */
        } workflow_cancel;
        struct {
            int64_t by_ms;       /* > 0 */
            int64_t next_due_ms; /* the earliest deadline in the store; 0: there is none */
        } clock_advance;
        struct {
            uint64_t first_lsn, last_lsn; /* what was lost */
            struct bytes_view copy;       /* name of the file that keeps the damaged bytes */
        } log_repair;
        struct {
            struct bytes_view stage; /* where to go back to */
            struct bytes_view reason;
        } workflow_rollback;
        struct {
            struct bytes_view stage; /* the one that waits */
            struct bytes_view role;  /* in which the actor decides */
            struct bytes_view reason;
            uint32_t attempt; /* of the stage; 0: whichever waits */
        } review;             /* approve and reject */
        struct {
            uint32_t stage; /* its index; now_ms is the clock, or the test clock's step */
        } timer_fire;
        struct {
            int64_t expected_ms; /* what the clock should have read; now_ms is what it reads */
        } clock_jump;
    } as;
};

#endif
