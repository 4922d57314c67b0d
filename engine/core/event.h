/* What happened: the events of one record, a tagged union each. A released event never changes its
 * meaning; a new need is a new kind. Stages, steps and versions are indices into the definition
 * that the workflow was started with. Borrows its bytes from the command or from the decoder's
 * arena. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "engine/core/command.h"

enum { RECORD_EVENTS_MAX = 512 };

/* Values are on disk: never renumber, append only. */
enum event_kind {
    EVENT_STORE_CREATED = 1,
    EVENT_DEFINITION_ADDED = 2,
    EVENT_WORKFLOW_STARTED = 3,
    EVENT_STEP_SUBMITTED = 4,
    EVENT_STAGE_ACTIVATED = 5,
    EVENT_STAGE_COMPLETED = 6,
    EVENT_WORKFLOW_COMPLETED = 7,
    EVENT_STAGE_FAILED = 8,
    EVENT_WORKFLOW_FAILED = 9,
    EVENT_WORKFLOW_CANCELLED = 10,
    EVENT_COMMAND_REFUSED = 11,
    EVENT_CLOCK_ADVANCED = 12,
    EVENT_LOG_REPAIRED = 13,
    EVENT_ROLLBACK_REQUESTED = 14,
    EVENT_CANCEL_REQUESTED = 15,
    EVENT_REVIEW_REQUESTED = 16,
    EVENT_REVIEW_APPROVED = 17,
    EVENT_REVIEW_REJECTED = 18,
    EVENT_STAGE_UNDONE = 19, /* closes its attempt, withdraws its step and that step's fields */
    EVENT_STAGE_TIMED_OUT = 20,
    EVENT_TIMERS_STOPPED = 21, /* active stages are held, with what remains of their time */
    EVENT_TIMERS_RESUMED = 22, /* held stages are active again */
    EVENT_ROLLBACK_COMPLETED = 23,
    EVENT_ROLLBACK_STOPPED = 24, /* a reviewer said no */
    EVENT_CLOCK_ADVANCE_BEGUN =
        25, /* the test clock goes to its target by way of each deadline on it */
    EVENT_CLOCK_JUMPED = 26,
};

/* "stage_activated" and the like; NULL for an unknown value. */
const char *event_kind_name(enum event_kind kind);

struct event {
    enum event_kind kind;
    union {
        struct {
            bool test_clock;
            int64_t time_ms;
        } store_created;
        struct {
            struct definition *definition; /* apply takes it over and clears this pointer */
        } definition_added;
        struct {
            struct bytes_view type;
            uint32_t version;
            const struct field *fields;
            size_t field_count;
        } workflow_started;
        struct {
            uint32_t step;
            const struct field *fields;
            size_t field_count;
        } step_submitted;
        struct {
            uint32_t stage;
            uint32_t attempt;   /* from 1: the stage's epoch */
            int64_t timeout_ms; /* deadline = the record's time + this; 0: none */
        } stage_activated;
        struct {
            uint32_t stage;
        } stage_completed;
        struct {
            uint32_t stage;
            struct bytes_view reason;
        } stage_failed;
        struct {
            struct bytes_view reason;
        } workflow_failed;
        struct {
            struct bytes_view reason;
        } workflow_cancelled;
        struct {
            enum wf_status status; /* WF_REFUSED */
            struct bytes_view message;
        } command_refused;
        struct {
            int64_t to_ms; /* the test clock's new reading */
        } clock_advanced;
        struct {
            uint64_t first_lsn, last_lsn;
            struct bytes_view copy;
        } log_repaired;
        struct {
            uint32_t stage; /* the target; who asks is the record's actor */
            struct bytes_view reason;
        } rollback_requested;
        struct {
            struct bytes_view reason;
        } cancel_requested;
        struct {
            uint32_t stage;
            struct bytes_view role;   /* who must decide, or decided */
            struct bytes_view reason; /* why the stage failed; why it is rejected */
        } review;                     /* requested, approved, rejected */
        struct {
            uint32_t stage;
            uint32_t attempt;
        } stage_undone;
        struct {
            uint32_t stage;
            uint32_t attempt;
        } stage_timed_out;
        struct {
            int64_t to_ms;
        } clock_advance_begun;
        struct {
            int64_t expected_ms, to_ms;
        } clock_jumped;
    } as;
};

/* Where the previous record about the same entity stands; lsn 0: there is none. */
struct record_link {
    uint64_t lsn;
    uint64_t offset; /* of its frame in its segment, bytes */
};

/* One command and all that it came to: what stands in one frame of the log. */
struct record {
    uint64_t lsn;    /* set by the log, not part of the encoded bytes */
    uint64_t offset; /* likewise */
    int64_t time_ms; /* never less than the record before it */
    enum command_kind command;
    struct bytes_view subject;
    struct record_link previous; /* the subject's previous record */
    struct bytes_view actor;
    struct bytes_view key;
    uint8_t body_hash[16];
    uint64_t keys_forgotten; /* how many of the oldest idempotency keys this record drops */
    struct event *events;
    size_t event_count;
};

#endif
