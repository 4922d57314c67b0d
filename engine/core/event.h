/* What happened: the events of one record, a tagged union each. A released event never changes its
 * meaning; a new need is a new kind. Stages and steps are indices into the definition that the
 * workflow runs on. Borrows its bytes from the command or from the decoder's
 * arena. */
#ifndef CORE_EVENT_H
#define CORE_EVENT_H

#include "engine/core/command.h"

enum {
    RECORD_EVENTS_MAX = 4096,
    RECORD_TOUCHES_MAX = 4096,  /* accounts of one record */
    RECORD_POSTINGS_MAX = 8192, /* of one record */
};

/* Values are the first byte of an entity's key in snapshots, and on disk: never renumber. */
enum entity_kind {
    ENTITY_STORE = 1, /* the one entity that holds clock and counters */
    ENTITY_DEFINITION = 2,
    ENTITY_WORKFLOW = 3,
    ENTITY_KEY = 4,
    ENTITY_ACCOUNT = 10,
    ENTITY_INTERNAL_ACCOUNT = 11, /* the bank's own: always in memory */
    ENTITY_REFERENCE = 12,        /* a rate, an instrument, a calendar, a fee rule: likewise */
    ENTITY_REVERSAL = 13,         /* that a transaction was reversed */
    ENTITY_INEFFECTIVE = 14,      /* that a repair left a record without effect */
};

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
    EVENT_WORKFLOW_MIGRATED = 30,
    EVENT_TASK_DUE = 31,     /* a handler or a compensation has something to do */
    EVENT_TASK_CLAIMED = 32, /* an attempt begins: before anything is done outside */
    EVENT_TASK_FAILED = 33,  /* to be tried again after the delay */
    EVENT_TASK_PARKED = 34,  /* it failed too often */
    EVENT_TASK_DONE = 35,
    EVENT_TASK_RETRIED = 36, /* due again after it was parked */
    EVENT_ACCOUNT_OPENED = 40,
    EVENT_OPERATION_POSTED = 41,
    EVENT_ACCOUNT_STATUS_SET = 42,
    EVENT_HOLD_PLACED = 43,
    EVENT_HOLD_ENDED = 44,
    EVENT_REFERENCE_SET = 45,
    EVENT_MONEY_BOUND = 46, /* the record's operations belong to a stage: undone together */
    EVENT_TRANSACTION_REVERSED = 47, /* by the postings before it */
    EVENT_ARCHIVE_DROPPED = 70,      /* records are gone: which, why, and what stands for them */
    EVENT_SEGMENT_DROPPED = 71,      /* one of the segments that they stood in */
};

/* "stage_activated" and the like; NULL for an unknown value. */
const char *event_kind_name(enum event_kind kind);

/* Whose state an event changes: which pair of files reserves and applies it. */
enum event_machine {
    MACHINE_NONE,      /* there is no such kind */
    MACHINE_STORE,     /* clock.c: the clock and the counters of the store */
    MACHINE_CATALOG,   /* catalog.c */
    MACHINE_WORKFLOW,  /* workflow_apply.c, which hands on to rollback_apply.c and task_apply.c */
    MACHINE_MIGRATION, /* migrate.c */
    MACHINE_LEDGER,    /* ledger_apply.c */
    MACHINE_RETENTION, /* retention.c */
};

/* Inline: asked twice for each event, of a replay too. */
static inline enum event_machine event_machine(enum event_kind kind) {
    switch (kind) {
    case EVENT_STORE_CREATED:
    case EVENT_CLOCK_ADVANCED:
    case EVENT_LOG_REPAIRED:
    case EVENT_COMMAND_REFUSED:
    case EVENT_CLOCK_ADVANCE_BEGUN:
    case EVENT_CLOCK_JUMPED:
        return MACHINE_STORE;
    case EVENT_DEFINITION_ADDED:
        return MACHINE_CATALOG;
    case EVENT_WORKFLOW_STARTED:
    case EVENT_STEP_SUBMITTED:
    case EVENT_STAGE_ACTIVATED:
    case EVENT_STAGE_COMPLETED:
    case EVENT_STAGE_FAILED:
    case EVENT_WORKFLOW_COMPLETED:
    case EVENT_WORKFLOW_FAILED:
    case EVENT_WORKFLOW_CANCELLED:
    case EVENT_ROLLBACK_REQUESTED:
    case EVENT_CANCEL_REQUESTED:
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
    case EVENT_STAGE_UNDONE:
    case EVENT_STAGE_TIMED_OUT:
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
    case EVENT_MONEY_BOUND:
        return MACHINE_WORKFLOW;
    case EVENT_WORKFLOW_MIGRATED:
        return MACHINE_MIGRATION;
    case EVENT_ACCOUNT_OPENED:
    case EVENT_OPERATION_POSTED:
    case EVENT_ACCOUNT_STATUS_SET:
    case EVENT_HOLD_PLACED:
    case EVENT_HOLD_ENDED:
    case EVENT_REFERENCE_SET:
    case EVENT_TRANSACTION_REVERSED:
        return MACHINE_LEDGER;
    case EVENT_ARCHIVE_DROPPED:
    case EVENT_SEGMENT_DROPPED:
        return MACHINE_RETENTION;
    }
    return MACHINE_NONE;
}

/* What moved money. Values below 100 are on disk. */
enum operation_kind {
    OPERATION_TRANSFER = 1,
    OPERATION_CURRENCY_EXCHANGE = 2,
    OPERATION_INVESTMENT_PURCHASE = 3,
    OPERATION_FEE_DEDUCTION = 4,
    OPERATION_DEPOSIT = 5,
    OPERATION_WITHDRAWAL = 6,
    OPERATION_LOAN_DISBURSEMENT = 7,
    OPERATION_LOAN_PAYMENT = 8,
    OPERATION_HOLD = 9,     /* places a hold; posts nothing */
    OPERATION_POST = 10,    /* of what was held */
    OPERATION_VOID = 11,    /* ends a hold; posts nothing */
    OPERATION_OPENING = 12, /* the balance at the beginning; not to be asked for */
    OPERATION_REVERSAL = 13,
    /* May be asked for like these; a record has the event that each comes to. */
    OPERATION_ACCOUNT_OPEN = 100,
    OPERATION_ACCOUNT_FREEZE,
    OPERATION_ACCOUNT_UNFREEZE,
    OPERATION_ACCOUNT_CLOSE,
};
const char *operation_kind_name(enum operation_kind kind); /* "transfer", …; NULL: unknown */
/* One that a record's postings may be of? */
bool operation_kind_posts(enum operation_kind kind);
enum operation_kind operation_kind_parse(struct bytes_view word); /* 0: unknown */
/* Not what the bank does by itself. */
bool operation_may_be_asked_for(enum operation_kind kind);
/* The name that `word` may have meant, of those that may be asked for; NULL: none is near. */
const char *operation_kind_nearest(struct bytes_view word);

enum account_status { ACCOUNT_ACTIVE = 1, ACCOUNT_FROZEN = 2, ACCOUNT_CLOSED = 3 };
const char *account_status_name(enum account_status status); /* "active", …; NULL: unknown */

enum hold_end { HOLD_POSTED = 1, HOLD_VOIDED = 2, HOLD_EXPIRED = 3 };
const char *hold_end_name(enum hold_end end); /* "posted", …; NULL: unknown */

enum reference_kind {
    REFERENCE_RATE = 1,
    REFERENCE_INSTRUMENT = 2,
    REFERENCE_CALENDAR = 3,
    REFERENCE_FEE_RULE = 4,
};
const char *reference_kind_name(enum reference_kind kind); /* "rate", …; NULL: unknown */

/* An amount, in the minor unit of the account's currency, put on one account. A record's accounts
 * are numbered by its touches. */
struct posting {
    uint32_t account;
    int64_t amount; /* more than 0: the account's balance grows */
};

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
            uint32_t account; /* index of its touch, here and below */
            struct bytes_view type;
            struct bytes_view currency;
            int64_t minimum; /* INT64_MIN: none */
        } account_opened;
        struct {
            enum operation_kind operation;
            uint32_t rules;                 /* that were asked for and held: bits 1 << enum rule */
            const struct posting *postings; /* sum to zero in each currency */
            size_t posting_count;
            const struct field *fields; /* rate and its source, instrument, fee rule, hold */
            size_t field_count;
        } operation_posted;
        struct {
            uint32_t account;
            enum account_status status;
            struct bytes_view reason;
        } account_status_set;
        struct {
            uint32_t account;
            int64_t amount;
            int64_t expires_ms; /* 0: never */
            struct bytes_view name;
            struct bytes_view to; /* number of the account that a post goes to */
        } hold_placed;
        struct {
            uint32_t account;
            enum hold_end end;
            struct bytes_view name;
        } hold_ended;
        struct {
            uint32_t stage;
            uint32_t attempt;
        } money_bound;
        struct {
            uint64_t lsn; /* of the transaction's record */
            struct bytes_view reason;
        } transaction_reversed;
        struct {
            enum reference_kind kind; /* the record's subject is the name */
            const struct field *fields;
            size_t field_count;
        } reference_set;
        struct {
            uint64_t first_lsn, last_lsn;
            struct bytes_view copy;
            const struct field *fields; /* what went with them: engine/aftermath.h */
            size_t field_count;
        } log_repaired;
        struct {
            uint64_t first_lsn, last_lsn;
            struct bytes_view reason;
            struct bytes_view peaks;      /* as in the command */
            struct bytes_view state_hash; /* likewise */
            const struct field *fields;   /* likewise */
            size_t field_count;
        } archive_dropped;
        struct dropped_segment segment_dropped;
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
        /* The record's first event; what follows it names stages of the new version. */
        struct {
            uint32_t version;
            struct bytes_view stages; /* byte i: 1 + new index of the old stage i; 0: dropped */
            struct bytes_view steps;  /* likewise */
        } workflow_migrated;
        struct {
            uint32_t stage;
            uint32_t epoch; /* the stage's attempt */
            bool compensate;
            uint32_t tries;             /* which claim this is about; 0: none was made */
            int64_t delay_ms;           /* claimed: the lease; failed: the backoff */
            struct bytes_view worker;   /* claimed, failed, done */
            struct bytes_view reason;   /* claimed: of the failure before; failed, parked */
            const struct field *fields; /* done */
            size_t field_count;
        } task;
    } as;
};

/* Where the previous record about the same entity stands; lsn 0: there is none. */
struct record_link {
    uint64_t lsn;
    uint64_t offset; /* of its frame in its segment, bytes */
};

/* An account that a record is about. */
struct record_touch {
    enum entity_kind kind;
    struct bytes_view name;
    struct record_link previous; /* its record before this one; lsn 0: it is opened here */
    int64_t balance;             /* after this record */
    struct bytes_view currency;  /* so that a record can be read on its own */
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
    const struct record_touch *touches;
    size_t touch_count;
};

#endif
