/* The whole state in memory: definitions, workflows, idempotency keys, the clock. Owns the entities
 * in its tables. It may hold a part only: the shell loads an entity from the snapshot before a
 * command or a record that names it is decided or applied, and may evict clean ones.
 *
 * Bookkeeping for snapshots: every change calls state_touch(), which puts the entity on the list of
 * those changed since the last freeze. state_freeze() begins a snapshot in O(1): what was changed
 * before it is "frozen" until the shell has encoded it, and a frozen entity is handed to
 * before_change() before it changes again.
 *
 * The store entity, the definitions, the bank's own accounts and the reference data stay in memory;
 * while they are clean they are in no list. */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "base/slab.h"
#include "base/table.h"
#include "engine/core/event.h"
#include "engine/core/timers.h"

/* The head of every entity; the embedding struct begins with it. */
struct entity {
    enum entity_kind kind : 8;
    bool deleted;        /* a tombstone: kept until a snapshot without it is durable */
    bool digest_current; /* digest[] matches the content */
    bool digest_counted; /* digest[] is part of the state hash's sum */
    uint32_t bytes;      /* heap bytes, for the memory bound */
    uint64_t generation; /* the freeze generation in which it last changed; 0: clean */
    uint64_t changed_lsn;
    uint8_t digest[16];
    struct entity *next, *previous; /* in the list of changed, frozen or clean entities */
};

/* A ring of entities; the head is no entity. Clean ones: least recently used first. */
struct entity_list {
    struct entity *first, *last;
    size_t count;
    size_t bytes;
};

enum workflow_status {
    WORKFLOW_RUNNING = 1,
    WORKFLOW_HELD,
    WORKFLOW_AWAITING_REVIEW,
    WORKFLOW_ROLLING_BACK,
    WORKFLOW_COMPLETED,
    WORKFLOW_FAILED,
    WORKFLOW_CANCELLED,
    WORKFLOW_STATUS_COUNT, /* one more than the last */
};

enum stage_status {
    STAGE_BLOCKED = 0,
    STAGE_ACTIVE,
    STAGE_COMPLETED,
    STAGE_TIMED_OUT,
    STAGE_FAILED,
    STAGE_AWAITING_REVIEW,
    STAGE_HELD,
    STAGE_ROLLED_BACK,
};

const char *workflow_status_name(enum workflow_status status); /* "running", …; NULL: unknown */
enum workflow_status workflow_status_parse(const char *word);  /* 0: unknown */
const char *stage_status_name(enum stage_status status);

struct stage_state {
    enum stage_status status;
    uint32_t attempt;    /* of the current or last activation, from 1; 0: never active */
    int64_t deadline_ms; /* while active; 0: none. While its timer stands still (held, or waiting
                            for a rollback's review): what remains of it */
    uint64_t activated_lsn;
    uint64_t completed_lsn; /* 0: not completed */
};

/* What waits to be decided, or is under way. */
enum proposal_kind {
    PROPOSAL_ROLLBACK = 1, /* back to a stage */
    PROPOSAL_CANCEL,       /* undo all stages, then end */
    PROPOSAL_REOPEN,       /* a stage timed out or failed */
};

enum { STAGE_NONE = 0xFF };

/* A workflow has at most one rollback or cancellation, and one re-opening for each stage: a list in
 * order of kind, then stage. */
struct proposal {
    struct proposal *next;
    enum proposal_kind kind;
    uint8_t stage; /* the target; the one to re-open; a cancellation has 0 */
    /* Of a rollback or cancellation: the stage that must be decided now, and what it was. */
    uint8_t waiting; /* STAGE_NONE: none */
    enum stage_status waiting_before;
    enum workflow_status before; /* an end that it began from; else WORKFLOW_RUNNING */
    bool undone;                 /* a stage was undone by it */
    enum stage_status outcome;   /* of a re-opening: STAGE_TIMED_OUT or STAGE_FAILED */
    uint64_t lsn;                /* of the record that asked */
    int64_t time_ms;             /* likewise */
    uint8_t actor_size;          /* who asked; 0: nobody, a timer */
    uint16_t reason_size;
    char text[]; /* the actor, then the reason */
};

enum task_status {
    TASK_DUE = 1, /* to be claimed, from due_ms on */
    TASK_CLAIMED, /* by a worker, until due_ms; then anybody may claim it */
    TASK_PARKED,  /* it failed too often: it waits for somebody to look after it */
};

/* Work outside: a stage's handler, or its compensation. See task.h. */
struct task {
    struct task *next;
    uint8_t stage;
    bool compensate;
    enum task_status status;
    uint32_t epoch; /* the stage's attempt that it belongs to */
    uint32_t tries; /* claims so far */
    int64_t due_ms;
    uint8_t worker_size; /* who claimed it last */
    uint16_t reason_size;
    char text[]; /* the worker, then why it failed last */
};
const char *task_status_name(enum task_status status); /* NULL: unknown */

/* The last decision of a reviewer: the same again answers as the first time. */
struct verdict {
    uint8_t stage;
    bool approved;
    struct record_link link;
    uint8_t actor_size;
    char actor[];
};

enum {
    WORKFLOW_DATA_MAX = 8 * 1024 * 1024, /* bytes of one workflow's fields, packed */
    WORKFLOW_FIELD_OF_STAGE =
        0x80, /* and a stage, in place of a step: its handler gave the field */
    WORKFLOW_FIELD_AT_START = 0xFF, /* in place of a step: the field was given at the start */
};

/* A version that a workflow ran on before it was migrated. */
struct workflow_past {
    uint64_t until_lsn; /* of the record that migrated it away */
    uint32_t definition_number;
};

/* One block with its id, steps and stages behind it, and a second one for its data. */
struct workflow {
    struct entity entity;
    const struct definition *definition; /* owned by the state */
    uint64_t started_lsn;
    uint64_t lsn; /* of the last record that changed it */
    struct record_link
        history; /* the last record about it, refusals included; not part of the hash */
    int64_t started_ms, changed_ms;
    char *id;       /* id_size bytes and a terminator */
    uint8_t *steps; /* indices of the steps in force, in order of submission; room for all of the
                       definition's */
    /* Fields as packed runs, read by workflow_field_next(): step u8 (or WORKFLOW_FIELD_AT_START),
     * name u8 (an index into what the step requires, or 0x80 + size followed by the name), size of
     * the value varint, value. A later one hides an earlier one of the same name. */
    uint8_t *data;
    uint32_t data_size, data_capacity;
    char *reason;               /* why it failed or was cancelled; NULL: none */
    struct workflow_past *past; /* oldest first; NULL: it was never migrated */
    struct proposal *proposals;
    struct verdict *verdict; /* NULL: none yet */
    /* The pairs that stand beside it in the snapshot, as encoded last (checkpoint.c), so that the
     * next deadline, and what waits for a review, are found without reading every workflow. */
    int64_t pair_due_ms;       /* 0: none */
    int64_t pair_task_ms;      /* likewise */
    uint32_t timer_at;         /* its place in the state's timers, from 1; 0: it is not there */
    uint32_t task_at;          /* likewise in the state's tasks */
    struct task *tasks;        /* in order of stage, then handler and compensation, then epoch */
    struct stage_money *money; /* what completed stages moved on accounts; see stage_money.h */
    uint32_t definition_number;
    enum workflow_status status : 8;
    uint8_t step_count;
    uint8_t id_size;
    bool pair_tasks;
    bool pair_waits; /* likewise */
    uint8_t past_count;
    struct stage_state stages[]; /* definition->stage_count */
};

/* A used idempotency key: the first outcome is in the record at `link`. One that was forgotten is a
 * tombstone, out of `key_order`; when its text is used again it lives again under a new sequence.
 */
struct idempotency_key {
    struct entity entity;
    struct record_link link;
    uint64_t sequence; /* keys are forgotten in this order */
    uint8_t body_hash[16];
    uint8_t size;
    char text[];
};

/* A definition under its name and version. */
struct definition_entity {
    struct entity entity;
    struct definition *definition;
    uint64_t added_lsn;
    struct record_link history;
    uint32_t number; /* from 1, in order of addition: how workflows name it in a snapshot */
    char key[DEFINITION_NAME_MAX + 12]; /* "name/version" */
    size_t key_size;
};

/* Clock and counters: small, always in memory. */
struct store_entity {
    struct entity entity;
    bool created;
    bool test_clock;
    int64_t clock_ms;             /* the test clock's reading */
    int64_t clock_target_ms;      /* where it is on its way to; 0: nowhere */
    int64_t seen_ms;              /* the highest record time */
    uint64_t key_first, key_next; /* sequences of the oldest key in force, and of the next */
    uint64_t workflow_counts[WORKFLOW_STATUS_COUNT];
    uint64_t refusals;
    uint64_t repairs;     /* times that damage took records from the log */
    uint64_t untold;      /* records that were lost, and no record of a repair has told of yet */
    uint64_t accounts;    /* customers' accounts that were opened */
    uint64_t dropped_lsn; /* the records up to here were dropped from the archive; 0: none */
    uint64_t drop_lsn;    /* of the record that says so */
};

/* What apply_reserve() set aside for the apply() that follows; empty in between. */
struct state_reserved {
    bool in_use;                   /* something below is set */
    bool ignored;                  /* a repair took what the record's subject rests on */
    struct workflow *workflow;     /* the subject */
    struct workflow *new_workflow; /* allocated, in no table yet */
    struct workflow *old_workflow; /* the one that new_workflow takes the place of; NULL: none */
    struct definition_entity *definition;     /* the subject */
    struct definition_entity *new_definition; /* likewise */
    struct idempotency_key *new_key;          /* likewise */
    struct account **accounts;                /* by the record's touches; NULL: not opened yet */
    int64_t *balances;                        /* theirs after the events so far */
    size_t account_count, account_capacity;
    struct reference *new_reference; /* likewise */
    char *reason;
    struct proposal *request, *reopen; /* likewise */
    struct verdict *verdict;
    struct task *tasks;              /* in the order of their events */
    struct stage_money *money;       /* of the stage that the record completes */
    struct reversal *reversal;       /* allocated, in no table yet */
    struct ineffective *ineffective; /* likewise; where the record is ignored */
};

struct state {
    struct store_entity store;
    struct slab slab;         /* workflows and their data */
    struct table workflows;   /* struct workflow by id */
    struct table definitions; /* struct definition_entity by "name/version" */
    struct table newest;      /* struct definition_entity by name: the highest version */
    struct table keys;        /* struct idempotency_key by text */
    struct table key_order;   /* the same entries by sequence (the 8 bytes of it) */
    struct table accounts;    /* struct account by number; see account.h */
    struct table references;  /* struct reference by "kind/name"; see reference.h */
    struct table reversals;   /* struct reversal by LSN; see reversal.h */
    struct table ineffective; /* struct ineffective by LSN; see ineffective.h */
    /* The definitions by number - 1; NULL where not loaded yet. */
    struct definition_entity **numbered;
    size_t numbered_count, numbered_capacity;
    struct timers timers; /* the workflows in memory that have, or had, a deadline */
    struct timers tasks;  /* those that have a task, by when the first may be claimed */
    struct timers holds;  /* customers' accounts, by when a hold expires first */
    struct state_reserved reserved;
    bool after_loss;       /* records are missing from the log: what cannot be applied is ignored */
    bool any_ineffective;  /* a repair left records without effect; in memory or not */
    bool without_accounts; /* set by the shell for a state that keeps workflows only: what their
                              records do to accounts is passed over */
    uint64_t generation;   /* of changes; raised by state_freeze(); from 1 */
    struct entity_list changed, frozen, clean;
    /* A frozen entity is about to change: the shell encodes it now. */
    void (*before_change)(void *ctx, struct entity *entity);
    void *before_change_ctx;
};

enum wf_status state_init(struct state *state, struct wf_error *err);
void state_deinit(struct state *state); /* frees all entities */

/* NULL where it is not in memory (which need not mean that it does not exist). A deleted one is
 * returned too: check entity.deleted. */
struct workflow *state_workflow(const struct state *state, struct bytes_view id);
/* It will be looked for soon: have memory fetch the place where it would be found; some time later,
 * itself. */
void state_workflow_prefetch(const struct state *state, struct bytes_view id);
void state_workflow_prefetch_all(const struct state *state, struct bytes_view id);
struct idempotency_key *state_key(const struct state *state, struct bytes_view text);
struct idempotency_key *state_key_at(const struct state *state, uint64_t sequence);
/* version 0: the newest. */
struct definition_entity *state_definition(const struct state *state, struct bytes_view name,
                                           uint32_t version);

/* NULL where there is none of this number. */
struct definition_entity *state_definition_numbered(const struct state *state, uint32_t number);

/* The value of a field in force, the latest submission first; data NULL where there is none. */
struct bytes_view workflow_field(const struct workflow *workflow, const char *name, size_t size);
/* Walk the packed fields in order: start with *at = 0; false at the end, and (with *at !=
 * data_size) where they are malformed, which entity_decode() never lets in. */
bool workflow_field_next(const struct workflow *workflow, size_t *at, unsigned *step,
                         struct field *field);
/* Index of the stage that best says where the workflow stands: the first active one (in the order
 * of the definition), else the first that waits or failed, else the last completed, else -1. */
int workflow_current_stage(const struct workflow *workflow);
/* Its earliest deadline, and whose it is (of several the first stage); 0: it has none. */
int64_t workflow_due(const struct workflow *workflow, unsigned *stage);
/* When its first task may be claimed; 0: it has none that can be. */
int64_t workflow_task_due(const struct workflow *workflow);
/* Does a stage wait for a reviewer? */
bool workflow_waits(const struct workflow *workflow);
/* The rollback or cancellation under way; the re-opening that a stage waits for; NULL: none. */
struct proposal *workflow_rollback(const struct workflow *workflow);
struct proposal *workflow_reopening(const struct workflow *workflow, unsigned stage);
/* Nothing may be submitted and all timers stand still: it goes back, or a stage holds it. */
bool workflow_stands_still(const struct workflow *workflow);
struct bytes_view proposal_actor(const struct proposal *proposal);
struct bytes_view proposal_reason(const struct proposal *proposal);
/* The definition that it ran on in its record `lsn`; what that record's events name. */
const struct definition *workflow_definition_at(const struct state *state,
                                                const struct workflow *workflow, uint64_t lsn);
/* The items that the steps in force provide; the stages that are completed: as masks. */
uint64_t workflow_items(const struct workflow *workflow);
uint64_t workflow_completed_stages(const struct workflow *workflow);

/* Record that the entity changes in the record `lsn`: call before the first write to it. */
void state_touch(struct state *state, struct entity *entity, uint64_t lsn);
/* Begin a snapshot: everything changed so far becomes frozen. No freeze may be under way. */
void state_freeze(struct state *state);
/* A frozen entity was encoded: take it off the list of frozen ones and count it as clean. */
void state_thaw(struct state *state, struct entity *entity);
/* The snapshot failed: whatever `state_thaw` made clean since the freeze must be written again. The
 * shell passes each. */
void state_touch_again(struct state *state, struct entity *entity);
/* Drop a clean entity from memory. */
void state_evict(struct state *state, struct entity *entity);
/* It was read: move a clean one to the recently used end. */
void state_used(struct state *state, struct entity *entity);

/* The entity as bytes, versioned and canonical (equal content, equal bytes, on any machine): the
 * snapshot's value. `hashed` (may be NULL) receives how many of the leading bytes count for the
 * state hash: links into the log do not. The key begins with a byte for the kind. */
void entity_encode(const struct entity *entity, struct bytes_buffer *value, size_t *hashed);
void entity_encode_key(const struct entity *entity, struct bytes_buffer *key);
/* Do two mean the same, that is, without their links into the log? The buffers are room to work in.
 * False: no memory, and `*same` is as it was. */
bool entity_same(const struct entity *a, const struct entity *b, struct bytes_buffer *left,
                 struct bytes_buffer *right, bool *same);
/* The key under which an entity that is not in memory would stand. */
void entity_key(enum entity_kind kind, struct bytes_view name, struct bytes_buffer *key);
/* Decode a value that entity_encode made and insert it as a clean entity (the store entity: in
 * place). Definitions must be there before the workflows that use them. WF_DAMAGE, WF_NO_MEMORY. */
enum wf_status entity_decode(struct state *state, struct bytes_view key, struct bytes_view value,
                             struct entity **out, struct wf_error *err);

#endif
