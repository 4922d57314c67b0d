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
    COMMAND_OPERATIONS_MAX = 1024, /* operations on accounts */
    OPERATION_RULES_MAX = 16,      /* rules that one operation names */
    ACCOUNT_NUMBER_MAX = 64,       /* bytes */
    ACCOUNT_TYPE_MAX = 32,
    HOLD_NAME_MAX = 64,
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
    COMMAND_WORKFLOW_MIGRATE = 20,
    COMMAND_TASK_CLAIM = 21,
    COMMAND_TASK_COMPLETE = 22,
    COMMAND_TASK_FAIL = 23,
    COMMAND_TASK_RETRY = 24,
    COMMAND_ACCOUNT_OPEN = 30,
    COMMAND_ACCOUNT_TRANSACT = 31,
    COMMAND_ACCOUNT_FREEZE = 32,
    COMMAND_ACCOUNT_UNFREEZE = 33,
    COMMAND_ACCOUNT_CLOSE = 34,
    COMMAND_ACCOUNT_REVERSE = 35,
    COMMAND_RATE_SET = 36,
    COMMAND_INSTRUMENT_SET = 37,
    COMMAND_CALENDAR_SET = 38,
    COMMAND_FEE_RULE_SET = 39,
    COMMAND_HOLD_EXPIRE = 40, /* the engine's own: holds of an account have expired */
    COMMAND_ARCHIVE_DROP = 50,
};

/* "workflow.submit" and the like, as wfctl and the history name them; NULL for an unknown value. */
const char *command_kind_name(enum command_kind kind);
/* What the subject of a command, and of its record, names. */
enum command_subject {
    SUBJECT_UNKNOWN, /* there is no such kind */
    SUBJECT_NONE,    /* it has none, or one that nothing is looked up by */
    SUBJECT_WORKFLOW,
    SUBJECT_DEFINITION,
    SUBJECT_ACCOUNT,
    SUBJECT_REFERENCE,
};
enum command_subject command_subject(enum command_kind kind);
bool command_is_about_workflow(enum command_kind kind);

struct field {
    struct bytes_view name;
    struct bytes_view value;
};

/* One operation on accounts as it was asked for: all text, so that a refusal can name it. Empty
 * where it is not given. */
struct operation {
    struct bytes_view type; /* "transfer", … */
    struct bytes_view from, to;
    struct bytes_view amount;   /* decimal, more than 0 */
    struct bytes_view currency; /* "USD"; of an exchange "USD_to_EUR" */
    const struct bytes_view *rules;
    size_t rule_count;
    struct bytes_view rate;       /* of an exchange, as it was quoted; else the one in force */
    struct bytes_view instrument; /* of a purchase */
    struct bytes_view fee_rule;
    struct bytes_view hold;         /* name of the hold on `from` */
    int64_t expires_in_ms;          /* of a new hold; 0: never */
    struct bytes_view account;      /* that is opened, frozen, unfrozen or closed */
    struct bytes_view account_type; /* of one that is opened; `amount`: its balance */
    struct bytes_view minimum;      /* likewise */
    struct bytes_view reason;       /* why it is frozen, unfrozen or closed */
};

/* A segment that is dropped: what the archive knows of it. */
struct dropped_segment {
    uint64_t first_lsn, last_lsn;
    struct bytes_view root; /* Merkle root of its records, 32 bytes */
};

struct stage_money;

struct command {
    enum command_kind kind;
    int64_t now_ms;            /* the clock's reading; decide uses max(seen, now) */
    struct bytes_view subject; /* id of the workflow; name of the definition, of a rate or the like;
                                  number of the account; else empty */
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
            const struct operation *operations; /* that go with the stage's completion */
            size_t operation_count;
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
            uint32_t version;         /* of the workflow's type, to go on under */
            const struct field *maps; /* name: old stage or step; value: its new name */
            size_t map_count;
        } workflow_migrate;
        struct {
            struct bytes_view worker;   /* claim, complete, fail */
            int64_t lease_ms;           /* claim; 0: the handler's timeout and a margin */
            struct bytes_view stage;    /* all but claim, which takes what is due first */
            bool compensate;            /* its compensation, not its handler */
            uint32_t epoch, tries;      /* complete, fail: the claim that is answered */
            const struct field *fields; /* complete */
            size_t field_count;
            struct bytes_view reason; /* fail */
        } task;
        struct {
            int64_t by_ms;       /* > 0 */
            int64_t next_due_ms; /* the earliest deadline in the store; 0: there is none */
        } clock_advance;
        struct {
            struct bytes_view type;
            struct bytes_view currency;
            struct bytes_view balance; /* at the beginning, from the bank's own account OPENING */
            struct bytes_view minimum; /* the least that must remain; empty: 0, for a loan none */
        } account_open;
        struct {
            const struct operation *operations;
            size_t count;
            size_t before; /* operations of the same transaction that the state shows already */
            const struct transaction_terms *terms; /* of a session; isolation.h; NULL: none */
        } account_transact;
        struct {
            uint64_t lsn;              /* of the record to be reversed */
            enum command_kind of;      /* what it was; read by the shell, like the rest; 0: it was
                                          not read yet, and only a key may answer */
            struct bytes_view subject; /* likewise */
            bool refused;
            bool ineffective;                /* a repair left it without effect */
            const struct stage_money *money; /* what it moved */
            struct bytes_view reason;
        } account_reverse;
        struct {
            struct bytes_view reason;
        } account_status; /* freeze, unfreeze, close */
        struct {
            const struct field *fields;
            size_t field_count;
        } reference_set; /* the subject is the name */
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
            const struct dropped_segment *segments; /* in order; the archive chose them */
            size_t count;
            struct bytes_view peaks;      /* of the tree of all records up to the last of them */
            struct bytes_view state_hash; /* of the state after the last of them, 32 bytes */
            struct bytes_view reason;
            const struct field *fields; /* of repairs that nothing else tells of then:
                                           engine/repairs.h */
            size_t field_count;
        } archive_drop;
        struct {
            int64_t expected_ms; /* what the clock should have read; now_ms is what it reads */
        } clock_jump;
    } as;
};

#endif
