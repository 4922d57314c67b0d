/* wf: a durable workflow engine inside your program.
 *
 * The one header of the library, and its manual. Read the caveats first.
 *
 * CAVEATS
 *  - One process owns a store at a time; a second opener gets WF_LOCKED with the owner's pid. A
 * process that wants to look only opens with `read_only` beside a live owner.
 *  - After fork() the child must not use an engine of its parent, not even to close it. The library
 * closes the child's copies of the lock; exec() closes all the rest.
 *  - A result is handed out when it is durable (fdatasync returned 0), never before; a query waits
 * for the same.
 *  - When a sync fails the engine halts: waiting commands get WF_UNKNOWN, later ones WF_HALTED;
 * queries go on. Close it and open again: recovery reads what is really on the disk.
 *  - A full disk is WF_FULL: nothing was written, reads go on, and commands work again as soon as
 * there is space.
 *  - Handlers outside the store run at least once; what they caused is recorded exactly once.
 *
 * THREADS  All functions may be called from any thread on one engine, except wf_close(), which must
 * be the last.
 *
 * MEMORY   Strings that go in are copied before the call returns. Pointers that come out live as
 * long as their comment says. Every function that takes a `struct wf_error *` accepts NULL.
 *
 * UNDOING MONEY  A submission that completes a stage may carry operations on accounts, in the same
 * record: the stage and its money, or neither. When the stage is undone, by a rollback or a
 * cancellation and whatever its strategy, the record that undoes it posts what it moved back: the
 * opposite of what each account got altogether, at the rates of then, once for each attempt of the
 * stage; what is left of its holds is voided. Money that is not there is not taken: where an
 * account is frozen or closed, would fall below its minimum, or a loan would be paid beyond what is
 * owed, the command (the rollback, or the reviewer's approval) is refused as a whole and says which
 * account and why. Nothing has changed then: a stage that waited for its reviewer still waits, and
 * the same command works once the account can pay. Who does not want to wait can go back to a later
 * stage, or cancel without rollback.
 *
 * LIMITS   Names and ids are UTF-8 without control characters. They stand in enum wf_limits. */
#ifndef WF_H
#define WF_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WF_API __attribute__((visibility("default")))

#define WF_VERSION "0.1.0"

enum wf_limits {
    WF_NAME_MAX = 64,         /* bytes of a name of a workflow type, stage, step, item or field */
    WF_ID_MAX = 200,          /* bytes of a workflow id, an actor, a role, an idempotency key */
    WF_REASON_MAX = 4096,     /* bytes of a reason */
    WF_FIELDS_MAX = 256,      /* fields of one command */
    WF_VALUE_MAX = 64 * 1024, /* bytes of a field's value */
    WF_STAGES_MAX = 64,       /* stages, and steps, of a definition */
    WF_OPERATIONS_MAX = 1024, /* operations of one transaction */
    WF_RULES_MAX = 16,        /* rules of one operation */
    WF_ACCOUNT_MAX = 64,      /* bytes of an account's number, of a hold's name */
    WF_RESULT_BALANCES_MAX = 16,      /* accounts whose balance stands in a result itself */
    WF_RECORD_MAX = 16 * 1024 * 1024, /* bytes of one command with all its fields */
};

struct wf_engine; /* an open store */

/* --- opening and closing --- */

enum wf_clock {
    WF_CLOCK_SYSTEM = 0, /* the machine's clock */
    WF_CLOCK_HOST, /* wf_options.now_ms; a store made with a test clock keeps that one whatever
                      stands here */
};

/* Start from wf_options_init(), then change what you need. */
struct wf_options {
    size_t size;               /* sizeof(struct wf_options), set by wf_options_init() */
    bool create;               /* make the store where there is none */
    bool read_only;            /* change nothing; works beside a live owner, on what is durable */
    bool background_snapshots; /* a thread of the engine's own writes snapshots, also when a second
                                  went by without a record and 1,000 lie behind the last one;
                                  without it the command that makes one due does it */
    bool test_clock;       /* with `create`: the store has a clock of its own, moved by command */
    int64_t test_clock_ms; /* where that clock begins; milliseconds since 1970 UTC */
    enum wf_clock clock;
    int64_t (*now_ms)(
        void *ctx); /* WF_CLOCK_HOST; called from any thread that executes a command */
    void *now_ctx;
    uint64_t memory_max;         /* bytes of workflows and keys held in memory; default 256 MiB */
    uint64_t segment_size;       /* bytes of a log segment; default 64 MiB */
    uint64_t snapshot_log_bytes; /* a snapshot is due after this much log; default 64 MiB; 0: never
                                    by itself */
    bool snapshot_on_close;      /* default true: opening again then reads no log record */
    uint64_t keys_max; /* idempotency keys kept; the oldest are forgotten; default 1,000,000 */
    /* Called at named instants (wf_points()), so that a harness can kill its own run there: on the
     * thread that passes the instant, perhaps with locks of the engine held. It may count and kill
     * (wf(3) has an example), and must not call the engine. */
    void (*on_point)(void *ctx, const char *point);
    void *point_ctx;
    bool background_timers; /* a thread of the engine's own fires timers as they become due; without
                               it they fire before the next command, and at wf_tick(). Stages
                               time out by them, and holds expire */
    /* What of the log is kept as it is; older segments are archived after each snapshot that the
     * background thread writes (wf_archive_run() without `background_snapshots`). 0: no limit; all
     * 0: nothing is archived. */
    uint64_t archive_keep_segments;
    int64_t archive_older_than_ms;
    uint64_t archive_max_bytes;
    /* Bytes of what accounts were, kept for open transactions of sessions; beyond them the oldest
     * transaction is given up (WF_CONFLICT). Default 64 MiB. */
    uint64_t versions_max;
    bool background_sync; /* a thread of the engine's own brings records to the disk before somebody
                             waits for them, once some 48 KiB are pending: for hosts that
                             wf_enqueue() many commands and then wait; the others lose nothing */
};

WF_API void wf_options_init(struct wf_options *options);

/* Open the store in `dir` and recover it. `options` may be NULL. On failure `*out` is NULL.
 * WF_NOT_FOUND: no store here, or one whose making was interrupted (see `create`). WF_REFUSED:
 * `dir` is a folder of something else, or, with `create`, a store already and options ask for
 * another clock. WF_LOCKED: the text names the owner's pid. WF_DAMAGE: the text names file, offset,
 * LSN and who is concerned; or `dir` has what a store left and its log no more, over which
 * none is made, `create` or not. */
WF_API enum wf_status wf_open(const char *dir, const struct wf_options *options,
                              struct wf_engine **out, struct wf_error *err);

/* Write a last snapshot (see snapshot_on_close) and release everything. Takes NULL. What was
 * acknowledged is durable whatever this returns. WF_REFUSED: a pool of sessions is open; nothing
 * happened, the engine works on: close the pool, then call this again. After any other status the
 * engine is gone. */
WF_API enum wf_status wf_close(struct wf_engine *engine, struct wf_error *err);

/* --- commands --- */

enum wf_command_kind {
    WF_DEFINITION_ADD = 2,  /* text, text_name */
    WF_WORKFLOW_START = 3,  /* id, type, fields */
    WF_WORKFLOW_SUBMIT = 4, /* id, step, fields, [operations: they go with the stage's completion;
                               see UNDOING MONEY; not those that open, freeze or close accounts] */
    WF_WORKFLOW_FAIL = 5,   /* id, stage, reason: an external verdict; its strategy is followed */
    WF_WORKFLOW_CANCEL = 6, /* id, reason, rollback */
    WF_CLOCK_ADVANCE = 7,   /* duration_ms; test-clock stores only: every deadline on the way fires,
                               in   order, with the clock at that deadline */
    WF_WORKFLOW_ROLLBACK = 10, /* id, stage, reason, actor: undo what came after the stage, and the
                                  stage, which then is active again */
    WF_REVIEW_APPROVE = 11,    /* id, stage, actor, role, [reason, attempt]: carry on */
    WF_REVIEW_REJECT = 12,     /* likewise: the rollback stops; a stage that failed fails it all */
    /* id, version, fields (name: a stage or step of the version that it runs on, value: what it is
     * called in the new one; those of the same name need none). A running workflow goes on under
     * another version of its type, of a higher or a lower number. Refused, with the reason, unless
     * whatever happened has its place there: each stage that is completed, active or otherwise
     * under way, and each submitted step, exists, with the fields that the step requires, and such
     * a stage's needs are met. Deadlines stay as they are. Stages whose needs are met there become
     * active in the same record. */
    WF_WORKFLOW_MIGRATE = 20,
    WF_TASK_COMPLETE = 22, /* id, stage, worker, attempt (the epoch), tries, compensate, fields: the
                              work is done. Completes the stage, with the fields, as if by its step.
                              Refused, and recorded, where the claim is no longer the worker's */
    WF_TASK_FAIL = 23, /* likewise, with a reason for fields: again after the backoff, which doubles
                          from attempt to attempt; after the last attempt the task is parked */
    WF_TASK_RETRY = 24,   /* id, stage, compensate: a parked task is due again, with all attempts */
    WF_ACCOUNT_OPEN = 30, /* id: the number; type, currency, amount: the balance, minimum */
    WF_ACCOUNT_TRANSACT = 31, /* operations: all of them or none */
    WF_ACCOUNT_FREEZE = 32,   /* id, reason: nothing comes in or goes out */
    WF_ACCOUNT_UNFREEZE = 33, /* id, reason */
    WF_ACCOUNT_CLOSE = 34,    /* id, reason; the account must be empty */
    /* lsn, reason, actor: new postings, the opposite of what the WF_ACCOUNT_TRANSACT of that record
     * put on each account; what is left of its holds is voided. Once: a second time is refused, and
     * names the record of the first. All or nothing, like the money of a stage (UNDOING MONEY). A
     * reversal cannot be reversed, nor the money of a stage: that goes back with the stage. An
     * account that the record opened stays open, and what it froze or closed stays so. */
    WF_ACCOUNT_REVERSE = 35,
    WF_RATE_SET = 36,       /* id: "USD_to_EUR"; fields: rate, source, time, max_age, band */
    WF_INSTRUMENT_SET = 37, /* id; fields: currency, calendar, status */
    WF_CALENDAR_SET = 38,   /* id; fields: open, close, days, holidays; all in UTC */
    WF_FEE_RULE_SET = 39,   /* id; fields: currency, minimum, maximum */
};

struct wf_field {
    const char *name;
    const char *value;
};

/* One operation of WF_ACCOUNT_TRANSACT. Amounts are decimal strings. Members that do not apply are
 * NULL or "", and 0: another value is refused, by the member's name.
 *
 *   type                 from      to         currency    more
 *   transfer             account   account    USD
 *   currency_exchange    account   account    USD_to_EUR  amount in the first; rate (as quoted)
 *   investment_purchase  account   MARKET     USD         instrument (default MARKET)
 *   fee_deduction        account   BANK       USD         fee_rule (default service_fee)
 *   deposit              CASH      account    USD
 *   withdrawal           account   CASH       USD
 *   loan_disbursement    loan      account    USD
 *   loan_payment         account   loan       USD
 *   hold                 account   account    USD         hold (its name), expires_in_ms: a timer
 *   post                 account   (as held)  (as held)   hold, of a transaction before this one;
 *                                                          amount: a part, the rest is free again
 *   void                 account   (as held)  (as held)   hold; no amount
 *
 *   account_open         account, account_type, currency, [amount: its balance, minimum], as
 *                        WF_ACCOUNT_OPEN; operations after it may use it
 *   account_freeze       account, [reason]; account_unfreeze, account_close likewise
 *
 * MARKET, BANK and CASH need not be given, nor what is (as held): another one is refused. They are
 * the bank's own, with FX and OPENING, and no customer's account may be opened under these names.
 * One that an older store has already stays an account like any other. Accounts
 * must be active and in the operation's currency, and keep their minimum: that holds whatever the
 * rules. Rules that may be asked for besides: sufficient_funds, same_currency (said again),
 * exchange_rate_validation (the rate is there, not older than its max_age, and a quoted one within
 * its band), market_hours, instrument_available, service_fee_rules. */
struct wf_operation {
    const char *type;
    const char *from;
    const char *to;
    const char *amount;
    const char *currency;
    const char *const *rules;
    size_t rule_count;
    const char *rate;
    const char *instrument;
    const char *fee_rule;
    const char *hold;
    int64_t expires_in_ms;    /* 0: never */
    const char *account;      /* that is opened, frozen, unfrozen or closed */
    const char *account_type; /* of one that is opened */
    const char *minimum;      /* likewise */
    const char *reason;
};

/* One command; members that its kind does not name are ignored. Zero it first. All strings are
 * borrowed for the call. */
struct wf_command {
    enum wf_command_kind kind;
    const char *id;
    const char *type;
    uint32_t version; /* of the definition; 0: the newest */
    const char *step;
    const char *stage;
    const char *reason;
    const char *actor; /* who asks; optional, kept in the history */
    const struct wf_field *fields;
    size_t field_count;
    const char *text;      /* a definition's YAML */
    const char *text_name; /* how errors call it; NULL: "definition" */
    int64_t duration_ms;
    /* Idempotency key; the same key and body answer as the first time. Where a repair left that
     * record without effect, with WF_REFUSED: nothing of it is in force, and nothing is done. */
    const char *key;
    const char
        *role;     /* in which the reviewer decides; it must be the one that the stage asks for */
    bool rollback; /* WF_WORKFLOW_CANCEL: undo all stages first, each by its strategy */
    /* WF_WORKFLOW_SUBMIT, _FAIL, reviews: the attempt of the stage that this belongs to. Where that
     * is over (undone, timed out) it is refused, and recorded. 0: whichever is under way. */
    uint32_t attempt;
    const struct wf_operation *operations;
    size_t operation_count;
    const char *currency;
    const char *amount;  /* decimal; NULL: 0 */
    const char *minimum; /* decimal; NULL: 0, of a loan none */
    const char *worker;  /* tasks: who claimed it */
    uint32_t tries;      /* tasks: which attempt of the handler this answers */
    bool compensate;     /* tasks: of the stage's compensation, not of its handler */
    uint64_t lsn;        /* WF_ACCOUNT_REVERSE: of the transaction's record */
};

/* An account after a command. */
struct wf_balance {
    char account[WF_ACCOUNT_MAX + 1];
    char currency[4];
    char balance[32]; /* decimal */
};

/* What a command came to. Strings live until wf_close(). */
struct wf_result {
    uint64_t lsn;        /* of its record */
    bool replayed;       /* the key was used before: this is the first outcome again */
    const char *outcome; /* label of the first stage that became active; else "completed", "failed",
                            "cancelled", "awaiting_review", "recorded" */
    const char *stage;   /* where the workflow stands after it; NULL: nowhere */
    const char *status; /* "running", "completed", …; NULL where the command concerns no workflow */
    const char *waits_stage; /* the stage that came to wait for a review; NULL: none */
    const char *waits_role;  /* who must decide on it */
    uint32_t version;        /* of the definition added or used */
    size_t activated_count;
    size_t balance_count;
    size_t balances_total;                /* how many such accounts there are; beyond the ones below
                                             wf_result_balances() tells them, of a session's
                                             transaction wf_session_balances() */
    uint64_t place;                       /* the engine's: where the record stands */
    const char *activated[WF_STAGES_MAX]; /* all stages that became active */
    struct wf_balance balances[WF_RESULT_BALANCES_MAX]; /* customers' accounts that it concerned */
};

/* Execute one command and wait until it is durable.
 * WF_REFUSED: a rule says no; the text says which. WF_CONFLICT: the key was used with another body.
 * WF_USAGE: malformed. WF_NOT_FOUND: names what is missing. WF_FULL, WF_HALTED, WF_UNKNOWN, WF_IO:
 * see the caveats. `result` may be NULL. */
WF_API enum wf_status wf_execute(struct wf_engine *engine, const struct wf_command *command,
                                 struct wf_result *result, struct wf_error *err);

/* Return false to stop. The balance is valid during the call. */
typedef bool (*wf_balance_fn)(void *ctx, const struct wf_balance *balance);
/* All customers' accounts that the command concerned, however many, with their balances after it:
 * read from its record. `result` is what it came to (wf_execute(), wf_wait()). WF_NOT_FOUND: it has
 * no record, or that is gone. */
WF_API enum wf_status wf_result_balances(struct wf_engine *engine, const struct wf_result *result,
                                         wf_balance_fn on_balance, void *ctx, struct wf_error *err);

/* What the command would come to, decided on the state as it is now: nothing is written, its key is
 * not looked at, and `result` has neither LSN nor stage nor status. Statuses as wf_execute(). Works
 * where the store is open for reading only, too. */
WF_API enum wf_status wf_dry_run(struct wf_engine *engine, const struct wf_command *command,
                                 struct wf_result *result, struct wf_error *err);

/* A command that was decided and is not known to be durable yet. The caller owns the memory; the
 * contents are the engine's. Nothing to free. */
struct wf_pending {
    uint64_t opaque[4];
    enum wf_status status;
    struct wf_result result;
    char text[512];
};

/* Decide a command without waiting: many may be enqueued, then waited for; their order is the order
 * of the log. One wait on the last makes all before it durable. WF_OK: `pending` must be waited for
 * (a refusal too is told there). Another status: the command was not taken (WF_HALTED, WF_FULL,
 * WF_IO, WF_NO_MEMORY, WF_USAGE). WF_ACCOUNT_REVERSE reads the record that it names, and so waits
 * until that is durable, and is WF_NOT_FOUND where there is none; under a key that was used before
 * it does neither. */
WF_API enum wf_status wf_enqueue(struct wf_engine *engine, const struct wf_command *command,
                                 struct wf_pending *pending, struct wf_error *err);
/* Wait until it is durable and tell what it came to; statuses as wf_execute(). Once for each
 * pending, by any thread. */
WF_API enum wf_status wf_wait(struct wf_engine *engine, struct wf_pending *pending,
                              struct wf_result *result, struct wf_error *err);
/* Is it durable, or failed, so that wf_wait() would not block? */
WF_API bool wf_is_done(struct wf_engine *engine, const struct wf_pending *pending);

/* --- queries: what is durable, and only that --- */

struct wf_stage_info {
    const char *name;
    const char *status; /* "blocked", "active", "completed", … */
    uint32_t attempt;
    int64_t deadline_ms;  /* 0: none */
    int64_t remaining_ms; /* what remains of it while the timer stands still; 0: none */
};

/* What is put on an account altogether. */
struct wf_moved {
    const char *account;
    const char *amount; /* decimal, with a sign */
    const char *currency;
};
/* What the completion of a stage moved on accounts, as long as the stage is not undone. */
struct wf_stage_money {
    const char *stage;
    uint32_t attempt;
    uint64_t lsn; /* of the record */
    const struct wf_moved *moved;
    size_t moved_count;
};

/* Something that a reviewer must decide on. */
struct wf_review {
    const char *id, *type; /* of the workflow */
    uint32_t version;
    const char *stage; /* the one that waits */
    uint32_t attempt;
    const char *role;     /* who must decide */
    bool four_eyes;       /* and must not be who asked */
    const char *proposal; /* "rollback" or "cancel": undo the stage; "timed_out" or "failed": open
                             it again */
    const char *target;   /* where a rollback leads to; NULL: none */
    const char *actor;    /* who asked; NULL: nobody, a timer did */
    const char *reason;   /* NULL: none was given */
    int64_t since_ms;
    uint64_t lsn; /* of the record that asked */
};

/* Work outside of the store: what a stage's handler has to do, or its compensation. */
struct wf_task {
    const char *id, *type; /* of the workflow */
    uint32_t version;
    const char *stage;
    bool compensate;                /* the stage was undone: undo what its handler did */
    uint32_t epoch;                 /* the stage's attempt */
    uint32_t attempt, attempts_max; /* of this task: claims so far, and how many there may be */
    const char *status;             /* "due", "claimed", "parked" */
    int64_t due_ms;     /* due: not before; claimed: the end of the lease; parked: since when */
    const char *worker; /* who claimed it last; NULL: nobody did */
    const char *reason; /* why it failed last; NULL: it did not */
    const char *key; /* "workflow/stage/epoch", with "/compensate": the same for every attempt, for
                        the outside world to know a repetition by */
    const char *const *args; /* the program and its arguments; none: a callback of the host */
    size_t arg_count;
    int64_t timeout_ms;
    const struct wf_field *data; /* of the workflow */
    size_t data_count;
};

/* A workflow as it was when it was read. Owned by the caller: wf_workflow_free(). */
struct wf_workflow {
    const char *id;
    const char *type;
    uint32_t version;
    const char *status;
    const char *stage;  /* NULL: none yet */
    const char *reason; /* of its failure or cancellation; NULL: none */
    uint64_t lsn;       /* of the record that changed it last */
    int64_t started_ms, changed_ms;
    const struct wf_stage_info *stages;
    size_t stage_count;
    const char *const *steps; /* submitted and in force, in order */
    size_t step_count;
    const struct wf_field *data;
    size_t data_count;
    const struct wf_review *reviews; /* what waits for a reviewer */
    size_t review_count;
    const char *going_back;      /* "rollback" or "cancel" where one is under way; NULL: none */
    const char *target;          /* where the rollback leads to; NULL: none */
    const struct wf_task *tasks; /* not done yet */
    size_t task_count;
    const struct wf_stage_money *money;
    size_t money_count;
};

/* WF_NOT_FOUND: no workflow of that id. */
WF_API enum wf_status wf_workflow_get(struct wf_engine *engine, const char *id,
                                      struct wf_workflow **out, struct wf_error *err);
/* As it was after the record `lsn` (UINT64_MAX: the last). WF_NOT_FOUND: it was not there yet, or
 * there is no such record yet. */
WF_API enum wf_status wf_workflow_get_as_of(struct wf_engine *engine, const char *id, uint64_t lsn,
                                            struct wf_workflow **out, struct wf_error *err);
/* The LSN of the last record at or before `time_ms`, for wf_workflow_get_as_of() and wf_replay();
 * 0: the log has none. Of a time to come it is the last record. Reads the first record of a few
 * segments, and one segment. */
WF_API enum wf_status wf_lsn_at(struct wf_engine *engine, int64_t time_ms, uint64_t *lsn,
                                struct wf_error *err);
WF_API void wf_workflow_free(struct wf_workflow *workflow);

/* Return false to stop. The review is valid during the call. */
typedef bool (*wf_review_fn)(void *ctx, const struct wf_review *review);
/* What waits for a reviewer, in order of the workflows' ids; costs what waits, not what is there.
 * `after` (NULL: from the first): ids greater than this. */
WF_API enum wf_status wf_review_list(struct wf_engine *engine, const char *after,
                                     wf_review_fn on_review, void *ctx, struct wf_error *err);

/* Tasks that are not done yet, in order of the workflows' ids; costs what there is of them. `after`
 * (NULL: from the first): ids greater than this. Return false to stop. */
typedef bool (*wf_task_fn)(void *ctx, const struct wf_task *task);
WF_API enum wf_status wf_task_list(struct wf_engine *engine, const char *after, wf_task_fn on_task,
                                   void *ctx, struct wf_error *err);
/* Claim the task that is due first. The attempt is durable when this returns, so that one which
 * takes its process down counts. Until `lease_ms` of the store's time have passed (0: the
 * handler's timeout and 5 s) nobody else can claim it; answer with WF_TASK_COMPLETE or
 * WF_TASK_FAIL, giving `worker`, the task's stage, epoch (as `attempt`), attempt (as `tries`) and
 * compensate. An attempt whose lease ran out without an answer has failed: where it was the last,
 * the task is parked. `*task` is NULL where none is due; `*next_ms` (may be NULL) is then when the
 * first may be claimed, 0: there is none. Else `*task` points into `*workflow`, which the caller
 * frees with wf_workflow_free(). */
WF_API enum wf_status wf_task_claim(struct wf_engine *engine, const char *worker, int64_t lease_ms,
                                    struct wf_workflow **workflow, const struct wf_task **task,
                                    int64_t *next_ms, struct wf_error *err);

/* What a handler says. It owns its memory until the next call with the same wf_worker. */
struct wf_handled {
    bool ok;
    const struct wf_field *fields; /* ok: what it returns */
    size_t field_count;
    const char *reason; /* not ok: why */
};
/* Does the work of a task. Outside of the store it runs at least once for each key, and perhaps
 * more often; what it returns is recorded once. */
typedef void (*wf_handler_fn)(void *ctx, const struct wf_task *task, struct wf_handled *handled);
/* The function for a stage with `handler: callback`, or (`compensate`) with `compensate: callback`.
 * Any workflow type that has a stage of that name uses it. NULL takes it away. At any time after
 * opening; callbacks run in wf_worker_run() only. WF_USAGE: no name. WF_NO_MEMORY. */
WF_API enum wf_status wf_handler_register(struct wf_engine *engine, const char *stage,
                                          bool compensate, wf_handler_fn handler, void *ctx,
                                          struct wf_error *err);

struct wf_worker {
    const char *name;          /* in the history; unique among those that work on the store */
    int64_t lease_ms;          /* 0: see wf_task_claim() */
    wf_handler_fn run_program; /* runs task->args; NULL: such tasks fail */
    void *program_ctx;
};
/* Claim the task that is due first, do it, record the answer. `*did` false: none is due, and
 * `*next_ms` as wf_task_claim(). Several threads may do this at once, with workers of different
 * names. A callback that is not registered fails the attempt. */
WF_API enum wf_status wf_worker_run(struct wf_engine *engine, const struct wf_worker *worker,
                                    bool *did, int64_t *next_ms, struct wf_error *err);

/* One stage that a rollback would undo. */
struct wf_plan_stage {
    const char *stage, *status, *strategy;
    uint32_t attempt;
    const char *role; /* who must agree; NULL: nobody */
    bool four_eyes;
    const char *step;          /* that is withdrawn; NULL: none is in force */
    const char *const *fields; /* names of what leaves the data */
    size_t field_count;
    uint64_t money_lsn; /* record of the operations that went with it; 0: there were none */
    const struct wf_moved *moved; /* what would be put on each account, to move them back */
    size_t moved_count;
};
/* Owned by the caller: wf_plan_free(). */
struct wf_plan {
    const char *id;
    const char *target;                 /* NULL: of a cancellation */
    const struct wf_plan_stage *stages; /* in the order in which they are undone */
    size_t stage_count;
};
/* What WF_WORKFLOW_ROLLBACK, or WF_WORKFLOW_CANCEL with `rollback`, would do. Writes nothing; the
 * statuses are those of the command itself. */
WF_API enum wf_status wf_rollback_plan(struct wf_engine *engine, const struct wf_command *command,
                                       struct wf_plan **plan, struct wf_error *err);
WF_API void wf_plan_free(struct wf_plan *plan);

/* Fire every timer whose deadline has passed, in order of (deadline, workflow, stage), and wait
 * until that is durable. Happens by itself before each command, and with `background_timers`
 * whenever one is due: for hosts that have neither. `fired` may be NULL. */
WF_API enum wf_status wf_tick(struct wf_engine *engine, uint64_t *fired, struct wf_error *err);

/* NULL and 0 members do not filter. */
struct wf_filter {
    const char *status;
    const char *stage; /* where it stands */
    const char *type;
    const char *where_name;  /* a field of data … */
    const char *where_value; /* … that has this value */
    const char *after;       /* ids greater than this, bytewise */
    uint64_t limit;          /* 0: no limit */
};
/* Return false to stop. The workflow is valid during the call. */
typedef bool (*wf_workflow_fn)(void *ctx, const struct wf_workflow *workflow);
/* In order of id. */
WF_API enum wf_status wf_workflow_list(struct wf_engine *engine, const struct wf_filter *filter,
                                       wf_workflow_fn on_workflow, void *ctx, struct wf_error *err);

/* One event of a record, with names in place of numbers. Valid during the callback. */
struct wf_event {
    uint64_t lsn;
    int64_t time_ms;
    const char *command; /* "workflow.submit", … */
    const char *subject; /* id of the workflow, name of the definition; "" for the store */
    const char *event;   /* "stage_activated", …; "record_lost" where a repair dropped it,
                            "records_dropped" where they were dropped from the archive */
    const char
        *stage; /* NULL where the event has none; "stage 3" where its definition is not at hand */
    const char *step;
    const char *actor;
    const char *key;
    const char *reason; /* or the refusal */
    const char *type;   /* of the workflow that started */
    uint32_t attempt, version;
    int64_t deadline_ms; /* of an activated stage; 0: none */
    int64_t clock_ms;    /* the test clock, where the event sets it */
    const struct wf_field *data;
    size_t data_count;
    size_t index, count; /* which of the record's events this is */
    const char *role;    /* of a reviewer */
    int64_t expected_ms; /* of a clock that jumped: what it should have read */
    const char *worker;  /* of a task; `attempt` is then the stage's, the task's epoch */
    uint32_t tries;      /* which attempt of the task; `deadline_ms`: its lease, or the next one */
    bool compensate;     /* its compensation, not its handler */
    bool without_effect; /* a repair took what the record rests on: nothing of it is in force */
};
typedef bool (*wf_event_fn)(void *ctx, const struct wf_event *event);
/* Everything about one workflow, oldest first, by following the log's links. */
WF_API enum wf_status wf_workflow_history(struct wf_engine *engine, const char *id,
                                          wf_event_fn on_event, void *ctx, struct wf_error *err);
/* Everything in the log from `first_lsn` to `last_lsn`, both included; `id` NULL: about anybody. */
WF_API enum wf_status wf_replay(struct wf_engine *engine, uint64_t first_lsn, uint64_t last_lsn,
                                const char *id, wf_event_fn on_event, void *ctx,
                                struct wf_error *err);
/* The same for one segment file, without its store. */
WF_API enum wf_status wf_replay_file(const char *path, const char *id, wf_event_fn on_event,
                                     void *ctx, struct wf_error *err);

/* --- accounts --- */

struct wf_hold {
    const char *name;
    const char *to;
    const char *amount;
    int64_t expires_ms; /* 0: never */
};

/* An account as it was when it was read. Amounts are decimal strings. A balance is what the bank
 * owes the account's holder; the bank's own accounts ("BANK/USD") are the other side of the same
 * book, so that all balances of a currency sum to zero. Owned by the caller: wf_account_free(). */
struct wf_account {
    const char *number;
    const char *type;
    const char *currency;
    const char *status; /* "active", "frozen", "closed" */
    const char *balance;
    const char *held;
    const char *available; /* balance less held less minimum; NULL: no limit */
    const char *minimum;   /* NULL: none */
    bool internal;         /* one of the bank's own */
    uint64_t version;      /* how many commands changed it */
    uint64_t opened_lsn, lsn;
    int64_t opened_ms, changed_ms;
    const struct wf_hold *holds; /* that have not expired */
    size_t hold_count;
};
/* WF_NOT_FOUND: no account of that number. */
WF_API enum wf_status wf_account_get(struct wf_engine *engine, const char *number,
                                     struct wf_account **out, struct wf_error *err);
WF_API void wf_account_free(struct wf_account *account);
/* Return false to stop. The account is valid during the call. */
typedef bool (*wf_account_fn)(void *ctx, const struct wf_account *account);
/* In order of number; `with_internal`: the bank's own accounts after them. */
WF_API enum wf_status wf_account_list(struct wf_engine *engine, bool with_internal,
                                      wf_account_fn on_account, void *ctx, struct wf_error *err);

/* One posting to an account. Valid during the callback. */
struct wf_statement_line {
    uint64_t lsn;
    int64_t time_ms;
    const char *operation; /* "transfer", … */
    const char *amount;    /* with a sign */
    const char *balance;   /* after it */
    const char *other;     /* the first account on the other side; NULL: none */
    const char *actor;     /* NULL: none */
    /* A repair took what the record rests on: the amount is not in the balance. */
    bool without_effect;
};
typedef bool (*wf_statement_fn)(void *ctx, const struct wf_statement_line *line);
/* Every posting to the account up to the record `last_lsn` (UINT64_MAX: all), oldest first, added
 * up from the log along the account's links, but for what a repair left without effect. `balance`
 * (32 bytes, may be NULL) receives the sum. WF_NOT_FOUND: it was not there yet, or there is no such
 * record yet. WF_DAMAGE: a repair lost a part of it. */
WF_API enum wf_status wf_account_statement(struct wf_engine *engine, const char *number,
                                           uint64_t last_lsn, wf_statement_fn on_line, void *ctx,
                                           char balance[32], struct wf_error *err);
/* Everything about one account, refusals too, oldest first. */
WF_API enum wf_status wf_account_history(struct wf_engine *engine, const char *number,
                                         wf_event_fn on_event, void *ctx, struct wf_error *err);

struct wf_account_report {
    uint64_t records, postings, accounts; /* that were added up */
    uint64_t last_lsn;
    uint64_t lost, without_effect; /* records that repairs took, and left so: in no balance */
    uint64_t notes;                /* see wf_account_check_notes() */
};
/* Add all postings of the log up, from the first record, archives included: each operation sums to
 * zero, every record says the balance that it led to, a reversal, of a transaction or of a stage's
 * money, puts back what the record that it names put on each account, once, what a stage moved goes
 * back in the record that undoes it, and the accounts that are kept are what comes out.
 * WF_DIVERGENCE: `err` names the first difference. WF_DAMAGE: records that were not dropped are in
 * no segment and no archive, or cannot be read. */
WF_API enum wf_status wf_account_check(struct wf_engine *engine, struct wf_account_report *report,
                                       struct wf_error *err);
/* What is as the log has it, and still wants somebody to look, where repairs took records: an
 * account that stands below its minimum, is closed and not empty, or a loan above zero; a reversal
 * of what is lost or without effect, which takes back what is not in force. Valid during the
 * callback. */
struct wf_account_note {
    uint64_t lsn;         /* of the reversal; of the account's last record */
    const char *accounts; /* concerned, comma-separated */
    const char *text;
};
/* Return false to hear no more. */
typedef bool (*wf_account_note_fn)(void *ctx, const struct wf_account_note *note);
/* The same, with notes. They are no difference: the status is WF_OK all the same. */
WF_API enum wf_status wf_account_check_notes(struct wf_engine *engine, wf_account_note_fn on_note,
                                             void *ctx, struct wf_account_report *report,
                                             struct wf_error *err);

/* --- sessions: several operations as one, beside others --- */

/* How much a transaction sees of what others commit meanwhile. Nobody ever sees what is not
 * committed, or overwrites it: at no level are there dirty reads or dirty writes. */
enum wf_isolation {
    WF_READ_COMMITTED = 1,
    WF_SNAPSHOT,
    WF_SERIALIZABLE,
};
WF_API const char *wf_isolation_name(enum wf_isolation isolation); /* "SNAPSHOT"; NULL: unknown */
/* WF_USAGE: there is no level of this name; the text has those that there are. */
WF_API enum wf_status wf_isolation_parse(const char *name, enum wf_isolation *isolation,
                                         struct wf_error *err);

struct wf_pool;    /* a bounded set of sessions of one engine */
struct wf_session; /* one of them */

/* Start from wf_pool_options_init(), then change what you need. */
struct wf_pool_options {
    size_t size;                    /* set by wf_pool_options_init() */
    size_t sessions_min;            /* made at once, and never closed for idleness; default 5 */
    size_t sessions_max;            /* in use and idle together; default 50, at most 10,000 */
    int64_t acquire_timeout_ms;     /* how long wf_pool_acquire() waits; default 30 s; 0: not */
    int64_t create_timeout_ms;      /* how long making a session may take; default 30 s */
    int64_t idle_timeout_ms;        /* an idle session beyond the minimum is closed; default 5 min;
                                       0: never */
    int64_t transaction_timeout_ms; /* of each transaction; default 300 s; 0: none. Like the others
                                       by the machine's clock, whatever time of day it has; where
                                       the store has a test clock, also when that moved so far */
    enum wf_isolation isolation;    /* of sessions as they are acquired; default
                                       WF_READ_COMMITTED */
    bool background; /* a thread of the pool's own closes idle sessions and rolls overdue
                        transactions back, a second late at most; without it both happen in calls
                        of the pool and its sessions. Default true */
};
WF_API void wf_pool_options_init(struct wf_pool_options *options);

/* Make a pool and its first sessions. `options` may be NULL. An engine may have several pools; all
 * are closed before it is: wf_close() refuses otherwise. WF_USAGE: options that make no sense.
 * WF_NO_MEMORY. WF_TIMED_OUT: a session could not be made in time. */
WF_API enum wf_status wf_pool_open(struct wf_engine *engine, const struct wf_pool_options *options,
                                   struct wf_pool **out, struct wf_error *err);
/* WF_REFUSED: sessions are in use, or somebody waits for one; nothing changed. Takes NULL. */
WF_API enum wf_status wf_pool_close(struct wf_pool *pool, struct wf_error *err);

/* Take a session: an idle one (the one used last), else a new one, else wait for one. Who waits
 * longest is served first, and nobody who comes later overtakes. The session belongs to the caller
 * until wf_session_release(); threads may hand it on, but only one uses it at a time.
 * WF_TIMED_OUT: none became free, or none could be made, in time. WF_NO_MEMORY. */
WF_API enum wf_status wf_pool_acquire(struct wf_pool *pool, struct wf_session **out,
                                      struct wf_error *err);
/* Give it back. A transaction that is open is rolled back. Takes NULL. */
WF_API void wf_session_release(struct wf_session *session);

/* Close what is idle for too long, roll back what is overdue: now. */
WF_API void wf_pool_tidy(struct wf_pool *pool);

/* A session has at most one transaction at a time. All its calls take what they are given by copy,
 * and show nothing that is not durable. Whatever a transaction does is in memory only, in its
 * session, until it is committed as one record; a crash, a rollback, a time-out leaves nothing of
 * it. Nothing waits for locks, so there are no deadlocks: who comes second is told at commit.
 *
 *   READ_COMMITTED  Each call sees what is committed when it begins, and the transaction's own
 *                   operations on top of that. At commit they are judged once more on what is
 *                   committed then: funds, limits, holds, rules.
 *   SNAPSHOT        All calls see what was committed when the transaction began. The first
 *                   committer wins: where another transaction changed an account, since then, that
 *                   this one's operations write, the commit is WF_CONFLICT.
 *   SERIALIZABLE    The same, and the commit is WF_CONFLICT too where anything that was read is not
 *                   as it was: an account, one that was not there, which accounts a list or count
 *                   fits. So the order of the log is a serial order of all such transactions that
 *                   write, and it agrees with real time. One that only reads is a snapshot of that
 *                   order and always commits.
 *
 *                        dirty  lost    read  non-repeatable  phantom  write
 *                        read   update  skew  read                     skew
 *      READ_COMMITTED    no     may     may   may             may      may
 *      SNAPSHOT          no     no      no    no              no       may
 *      SERIALIZABLE      no     no      no    no              no       no
 *
 * Under READ_COMMITTED a posting is never lost, for amounts are added; what may be lost is that an
 * amount was computed from a balance that is no longer so. Postings to the bank's own accounts only
 * add and do not conflict. Reference data (rates, …) that an operation uses has no old versions:
 * from SNAPSHOT on it must not have changed since the transaction began (SERIALIZABLE: nor what a
 * refused operation would have used). An account that a transaction opens, freezes or closes is a
 * write like any other: nobody else sees it before the commit, and of two that open the same number
 * the second is told (READ_COMMITTED: WF_REFUSED; else WF_CONFLICT).
 *
 * What others change while a snapshot is open is kept in memory (wf_options.versions_max). */

/* The level of transactions of this session that ask for none, until it is released. WF_USAGE. */
WF_API enum wf_status wf_session_set_isolation(struct wf_session *session,
                                               enum wf_isolation isolation, struct wf_error *err);
/* `isolation` 0: the session's. WF_REFUSED: one is open. WF_USAGE: no such level. */
WF_API enum wf_status wf_session_begin(struct wf_session *session, enum wf_isolation isolation,
                                       struct wf_error *err);

/* For all calls below: WF_REFUSED where no transaction is open. Where it took too long
 * (WF_TIMED_OUT), or its snapshot had to be given up (WF_CONFLICT), it has been rolled back, the
 * first call that meets it says so, and the session is free for another. */

/* Do operations, all or none; those before stay done. They see what was done before them.
 * `result` (may be NULL) has the balances that the transaction sees, of all its operations so far
 * (wf_session_balances()), and no LSN. WF_REFUSED: a rule
 * says no; the text names the operation, counted from the transaction's first, and the transaction
 * goes on without these. WF_CONFLICT: what was done before does not hold any more on what is
 * committed now (READ_COMMITTED), or reference data has changed: roll back. WF_USAGE: malformed, or
 * more than WF_OPERATIONS_MAX in all. */
WF_API enum wf_status wf_session_execute(struct wf_session *session,
                                         const struct wf_operation *operations, size_t count,
                                         struct wf_result *result, struct wf_error *err);
/* All customers' accounts that the transaction's operations concern so far, however many, in the
 * order in which they came to, with the balances that it sees: all of those that a result of
 * wf_session_execute() has the first WF_RESULT_BALANCES_MAX of. The callback must not call the
 * session. */
WF_API enum wf_status wf_session_balances(struct wf_session *session, wf_balance_fn on_balance,
                                          void *ctx, struct wf_error *err);
/* An account as the transaction sees it; `version` and `lsn` are those of its last commit, 0 of one
 * that this transaction opened. Freed with wf_account_free(). WF_NOT_FOUND: not there, which counts
 * as a read too. */
WF_API enum wf_status wf_session_account(struct wf_session *session, const char *number,
                                         struct wf_account **out, struct wf_error *err);

/* Customers' accounts that fit all members; NULL: any. */
struct wf_account_filter {
    const char *prefix; /* of the number */
    const char *type;
    const char *currency;
    const char *status;      /* "active", … */
    const char *balance_min; /* decimal, included; needs `currency` */
    const char *balance_max; /* likewise */
};
/* Those that fit, in order of number; all from one instant. `filter` may be NULL. The callback must
 * not call the session. */
WF_API enum wf_status wf_session_list(struct wf_session *session,
                                      const struct wf_account_filter *filter,
                                      wf_account_fn on_account, void *ctx, struct wf_error *err);
WF_API enum wf_status wf_session_count(struct wf_session *session,
                                       const struct wf_account_filter *filter, uint64_t *count,
                                       struct wf_error *err);

/* Remember this point; a later one of the same name hides it. */
WF_API enum wf_status wf_session_savepoint(struct wf_session *session, const char *name,
                                           struct wf_error *err);
/* Undo what was done since; the savepoint stays, those behind it go. What was read stays read.
 * WF_NOT_FOUND: none of this name. */
WF_API enum wf_status wf_session_rollback_to(struct wf_session *session, const char *name,
                                             struct wf_error *err);
/* Forget it and those behind it; what was done stays done. */
WF_API enum wf_status wf_session_release_savepoint(struct wf_session *session, const char *name,
                                                   struct wf_error *err);

/* Make all of it one record, and wait until it is durable. `key` and `actor` (may be NULL) are
 * those of WF_ACCOUNT_TRANSACT, with the operations as its body. Whatever this returns, the
 * transaction is over. WF_CONFLICT: another one came first; the text says at which account, nothing
 * was done, nothing is in the log. WF_REFUSED: an operation does not hold on what is committed now;
 * nothing was done, and the log has the refusal. One without operations writes no record: `result`
 * has LSN 0; with a key that was used before it is WF_CONFLICT, for then there was something. */
WF_API enum wf_status wf_session_commit(struct wf_session *session, const char *key,
                                        const char *actor, struct wf_result *result,
                                        struct wf_error *err);
/* The same without waiting, as wf_enqueue(): the transaction is over at once, the session's next
 * one sees it. WF_OK: wait for `pending` with wf_wait(), which tells what it came to. */
WF_API enum wf_status wf_session_enqueue(struct wf_session *session, const char *key,
                                         const char *actor, struct wf_pending *pending,
                                         struct wf_error *err);
WF_API enum wf_status wf_session_rollback(struct wf_session *session, struct wf_error *err);

struct wf_session_info {
    bool open; /* a transaction */
    enum wf_isolation isolation;
    uint64_t snapshot_lsn; /* of SNAPSHOT and SERIALIZABLE: it sees the state after this record */
    size_t operations, savepoints;
};
WF_API void wf_session_info_get(const struct wf_session *session, struct wf_session_info *info);

struct wf_pool_stats {
    size_t sessions_min, sessions_max;
    size_t in_use, idle, waiting; /* now */
    size_t peak;                  /* in use at once, at most */
    uint64_t acquired;            /* sessions handed out */
    uint64_t waited;              /* of these, how many had to wait for another's release */
    uint64_t timed_out;           /* calls that waited in vain */
    uint64_t longest_wait_ns;     /* of any call, in vain or not */
    uint64_t created, closed;     /* sessions */
    uint64_t create_failures;
};
WF_API void wf_pool_stats_get(struct wf_pool *pool, struct wf_pool_stats *stats);

/* Reference data that rules look at. Valid during the callback. */
struct wf_reference {
    const char *kind; /* "rate", "instrument", "calendar", "fee_rule" */
    const char *name;
    uint64_t lsn;
    int64_t set_ms;
    const struct wf_field *fields;
    size_t field_count;
};
typedef bool (*wf_reference_fn)(void *ctx, const struct wf_reference *reference);
/* By name. `kind` NULL: all. */
WF_API enum wf_status wf_reference_list(struct wf_engine *engine, const char *kind,
                                        wf_reference_fn on_reference, void *ctx,
                                        struct wf_error *err);

struct wf_definition {
    const char *name;
    uint32_t version;
    const char *source; /* the YAML as it was added */
    uint64_t added_lsn;
};
typedef bool (*wf_definition_fn)(void *ctx, const struct wf_definition *definition);
/* By name, then version. `name` NULL: all. WF_NOT_FOUND for a name that is not there. */
WF_API enum wf_status wf_definition_list(struct wf_engine *engine, const char *name,
                                         wf_definition_fn on_definition, void *ctx,
                                         struct wf_error *err);
/* One difference between two versions of a definition. Valid during the callback. */
struct wf_definition_change {
    const char *change; /* "added", "removed" or "changed" */
    const char *kind;   /* "stage" or "step" */
    const char *name;
    const char *member; /* "needs", "timeout", …, as in the YAML; NULL: the stage or step itself */
    const char *before; /* the member in words; NULL: nothing */
    const char *after;
};
typedef bool (*wf_definition_change_fn)(void *ctx, const struct wf_definition_change *change);
/* What differs between version `version` of a definition and another, or, with `text`, a YAML text
 * that need not have been added. Version 0 is the newest. Stages first, then steps. WF_NOT_FOUND:
 * no such definition or version. */
WF_API enum wf_status wf_definition_diff(struct wf_engine *engine, const char *name,
                                         uint32_t version, uint32_t other_version, const char *text,
                                         const char *text_name, wf_definition_change_fn on_change,
                                         void *ctx, struct wf_error *err);
/* Check a definition's YAML without a store: WF_USAGE, "name:LINE:COLUMN: …". */
WF_API enum wf_status wf_definition_validate(const char *text, const char *text_name,
                                             struct wf_error *err);

struct wf_store_status {
    uint64_t durable_lsn;
    uint64_t snapshot_lsn;
    uint64_t replayed; /* records, at this open */
    double replay_ms;
    /* Cut off the log's tail at this open: behind record `durable_lsn` of that moment, and nothing
     * says that they were durable (wf_log_verify()). */
    uint64_t torn_bytes;
    uint64_t segments, archives;
    uint64_t log_bytes, snapshot_bytes;
    uint64_t definitions, workflows_in_memory, keys;
    uint64_t counts[8]; /* by wf_workflow_status_name(1..7) */
    uint64_t refusals;
    uint64_t memory_bytes; /* of what is held in memory */
    bool halted, test_clock, read_only;
    int64_t now_ms;
    char state_hash[65]; /* hex; of the durable state */
    char notes[512];     /* what opening had to do, in words; "" for nothing */
    int64_t next_due_ms; /* no deadline is earlier than this; 0: there is none */
    uint64_t archive_bytes;
    uint64_t dropped_lsn; /* the records up to here were dropped from the archive; 0: none */
    uint64_t drop_lsn;    /* of the record that says so */
    /* The records from this one on were read and checked at this open, or written since. Of those
     * before it stands the outcome in the snapshot, and they were not looked at:
     * wf_log_verify(). */
    uint64_t checked_from_lsn;
    uint64_t repairs; /* times that one took records from the log */
};
/* `with_hash` false leaves state_hash empty and costs nothing. */
WF_API enum wf_status wf_status_get(struct wf_engine *engine, bool with_hash,
                                    struct wf_store_status *status, struct wf_error *err);
WF_API const char *wf_workflow_status_name(unsigned status); /* 1..7; NULL beyond */

/* Rebuild the state from the first record, archives included, and compare with the one that is
 * kept. Where the first records were dropped it begins with the state that stands for them, which
 * must have the hash that the record of the drop names: what came before is not verified again.
 * WF_NOT_FOUND: a repair lost that record, so nothing says whether it began rightly.
 * WF_DIVERGENCE: `err` names the first difference with its LSN, what was expected and what is
 * there. `on_progress` may be NULL. */
WF_API enum wf_status wf_replay_verify(struct wf_engine *engine,
                                       void (*on_progress)(void *ctx, uint64_t lsn, uint64_t last),
                                       void *ctx, char state_hash[65], struct wf_error *err);

/* --- looking after a store --- */

/* Write a snapshot now. */
WF_API enum wf_status wf_snapshot(struct wf_engine *engine, struct wf_error *err);
/* Read every value of the snapshot and check it. `entries` may be NULL. */
WF_API enum wf_status wf_snapshot_verify(struct wf_engine *engine, uint64_t *entries,
                                         struct wf_error *err);
/* Bring everything enqueued to the disk. */
WF_API enum wf_status wf_sync(struct wf_engine *engine, struct wf_error *err);
/* Make `to` (which must not exist) a copy of the durable state of the store in `dir`, also while it
 * is owned and written by this or another process. Verified. It is made as `to`.partial, which is
 * taken away where it fails; what a backup that was killed left there, the next one removes.
 * WF_REFUSED: `to` exists, as a link that leads nowhere too, or would be inside the store, or
 * something else has that other name. WF_USAGE: it is empty. WF_NOT_FOUND: there is no store, or no
 * folder to make `to` in. */
WF_API enum wf_status wf_backup(const char *dir, const char *to, uint64_t *lsn,
                                struct wf_error *err);

/* Something is amiss: "damage" is at or below the durable mark, so that it was answered, or may
 * have been. "torn" is the end of the log beyond that mark: the next owner cuts it off. A process
 * that died while it wrote leaves that, and then nobody had an answer. Damage to the very last
 * batch looks the same where nothing vouches for it: no later record, no snapshot, and not the lock
 * file, which keeps what the last owner announced, but may be behind after a loss of power. */
struct wf_finding {
    const char *kind; /* "damage", "torn", "foreign" */
    const char *segment;
    uint64_t offset, size;
    uint64_t first_lsn, last_lsn; /* first > last: not known */
    const char *text;
    /* Workflows, accounts and definitions concerned, comma-separated; "" where none can be told. */
    const char *entities;
};
typedef bool (*wf_finding_fn)(void *ctx, const struct wf_finding *finding);
/* What repairs took: the records that they dropped, and what rested on those. */
enum { WF_LOST_DEFINITIONS_MAX = 256 };
/* Somebody whom a loss concerns. `kind`: "workflow_gone", "workflow_behind", "account",
 * "definition" ("order 1"), "key" (it is free again, or promises nothing), "reference"
 * ("rate/USD_to_EUR"). */
struct wf_lost {
    const char *kind, *name;
};
/* One repair that dropped records, as record `lsn` tells, or told before it was dropped itself. */
struct wf_repair {
    uint64_t first_lsn, last_lsn, lsn;
    int64_t time_ms;
};
enum { WF_REPAIRS_MAX = 16 };
struct wf_log_losses {
    uint64_t records; /* dropped */
    bool unknown;     /* what rested on them was not counted: the members below are too small */
    /* Later records that rest on dropped ones: they stay in the log, and the state is as if they
     * were not there. */
    uint64_t without_effect;
    uint64_t workflows_gone;                   /* not in the state any more */
    uint64_t workflows_behind;                 /* there, without some of what was answered */
    uint64_t accounts;                         /* gone, or without some of their transactions */
    char definitions[WF_LOST_DEFINITIONS_MAX]; /* gone: "order 1,loan_application 2" */
    uint64_t keys;                             /* idempotency keys whose record is gone */
    uint64_t references; /* rates, calendars, … gone, or as they were before */
    /* Dropped records of which nothing tells what they did: they cannot be read, and no snapshot
     * was behind them. Whoever was changed by these alone is in none of the numbers. */
    uint64_t untold;
    uint64_t repair_count;                    /* not of a repair and its plan */
    struct wf_repair repairs[WF_REPAIRS_MAX]; /* the newest of them, oldest first */
    /* All of them, by kind and name; only of a repair and its plan. wf_log_report_deinit(). */
    struct wf_lost *names;
    size_t name_count;
};
struct wf_log_report {
    uint64_t records, first_lsn, last_lsn, bytes, findings;
    struct wf_log_losses lost; /* by repairs: see each function */
};
/* Free what a report holds; it may be zeroed, or be filled again afterwards. */
WF_API void wf_log_report_deinit(struct wf_log_report *report);
/* Check every byte of the log in `dir`; works beside a live owner. WF_DAMAGE where something at or
 * below the durable mark cannot be read. `report->lost`: what all repairs took of which the log
 * still tells.
 */
WF_API enum wf_status wf_log_verify(const char *dir, wf_finding_fn on_finding, void *ctx,
                                    struct wf_log_report *report, struct wf_error *err);
/* Make a damaged log usable again: damaged files are copied aside first, each LSN lost is told, and
 * a record of it is written. `skip_lsn` (0: none) also drops a record that reads well but cannot be
 * understood. Whatever rests on a lost record leaves the state with it: `report->lost` says what
 * this repair took, and so does its record. WF_DAMAGE: what can be repaired is, but an archive, or
 * the state that stands for dropped records, is lost or damaged, and no repair can make that anew:
 * the text says what to put back. */
WF_API enum wf_status wf_log_repair(const char *dir, uint64_t skip_lsn, wf_finding_fn on_finding,
                                    void *ctx, struct wf_log_report *report, struct wf_error *err);
/* What wf_log_repair() would find and take. Changes nothing; works beside a live owner. Holds the
 * whole state in memory. WF_DAMAGE as there. */
WF_API enum wf_status wf_log_repair_plan(const char *dir, uint64_t skip_lsn,
                                         wf_finding_fn on_finding, void *ctx,
                                         struct wf_log_report *report, struct wf_error *err);

struct wf_segment {
    const char *name;
    uint64_t first_lsn, last_lsn, size;
    bool sealed;
    char root[65]; /* Merkle root, hex; "" while it is open */
};
typedef bool (*wf_segment_fn)(void *ctx, const struct wf_segment *segment);
WF_API enum wf_status wf_log_segments(struct wf_engine *engine, wf_segment_fn on_segment, void *ctx,
                                      struct wf_error *err);

/* --- the audit trail: what the log says, and proofs that nobody changed it --- */

/* The head of the Merkle tree (RFC 9162) over all records up to an LSN. Whoever keeps one can prove
 * later what was in the log then, and that nothing before it was rewritten. */
enum { WF_HASH_HEX = 65, WF_STORE_HEX = 33, WF_PEAKS_MAX = 40 };
struct wf_tree_head {
    char store[WF_STORE_HEX]; /* the store's UUID, hex */
    uint64_t size;            /* records: the LSN of the last one */
    char root[WF_HASH_HEX];   /* hex */
    int64_t time_ms;          /* when it was made */
    /* Roots of the perfect subtrees that the tree is made of, the largest first: they tell where a
     * difference lies. May be left out (0). */
    size_t peak_count;
    char peaks[WF_PEAKS_MAX][WF_HASH_HEX];
};
/* The head after record `lsn`; 0: the newest durable one. Reads every record. WF_NOT_FOUND: the log
 * holds no such record. WF_DAMAGE: a record on the way cannot be read. */
WF_API enum wf_status wf_audit_root(struct wf_engine *engine, uint64_t lsn,
                                    struct wf_tree_head *head, struct wf_error *err);

/* An Ed25519 signature (RFC 8032) of a head: over its store, size, root and time. Keys are PEM.
 * `public_key` (may be NULL) is the 32 bytes of the key that checks it, hex. */
enum { WF_SIGNATURE_HEX = 129 };
WF_API enum wf_status wf_audit_sign(const struct wf_tree_head *head, const char *private_pem,
                                    char signature[WF_SIGNATURE_HEX], char public_key[WF_HASH_HEX],
                                    struct wf_error *err);
/* WF_DAMAGE: it is not the signature of this head by that key. */
WF_API enum wf_status wf_audit_check_signature(const struct wf_tree_head *head,
                                               const char *signature, const char *public_pem,
                                               struct wf_error *err);

/* A proof: that one record stands in the tree of `size` and `root` (old_size 0), or that the tree
 * of `old_size` and `old_root` is the beginning of it. Made by wf_audit_prove…, freed by
 * wf_proof_deinit(); or filled by whoever read it from a file, with arrays of his own. */
enum { WF_PROOF_PATH_MAX = 80 };
struct wf_proof {
    char store[WF_STORE_HEX];
    uint64_t size;
    char root[WF_HASH_HEX];
    uint64_t lsn;           /* of the record proved; 0: a proof of consistency */
    const uint8_t *payload; /* the record's bytes; NULL: a repair dropped it */
    size_t payload_size;
    uint64_t old_size;
    char old_root[WF_HASH_HEX];
    size_t path_count;
    char path[WF_PROOF_PATH_MAX][WF_HASH_HEX];
};
/* Prove that `lsn` is in the tree of `size` records; 0: all durable ones. */
WF_API enum wf_status wf_audit_prove(struct wf_engine *engine, uint64_t lsn, uint64_t size,
                                     struct wf_proof *proof, struct wf_error *err);
/* Prove that the log still begins with the tree of `old`. WF_DAMAGE: it does not. */
WF_API enum wf_status wf_audit_prove_consistency(struct wf_engine *engine,
                                                 const struct wf_tree_head *old,
                                                 struct wf_proof *proof, struct wf_error *err);
WF_API void wf_proof_deinit(struct wf_proof *proof);
/* Does the proof hold? Needs no store. `root` (hex) is the one that the caller trusts: the proof's
 * root, or for consistency one of its two. `size` 0: not known. WF_DAMAGE: no, and why. WF_USAGE:
 * it is no proof. */
WF_API enum wf_status wf_audit_check(const struct wf_proof *proof, const char *root, uint64_t size,
                                     struct wf_error *err);
/* What a record's bytes say; stages and steps by number, for their names stand elsewhere. */
WF_API enum wf_status wf_record_show(uint64_t lsn, const uint8_t *payload, size_t payload_size,
                                     wf_event_fn on_event, void *ctx, struct wf_error *err);

/* NULL and 0 members do not filter. */
struct wf_audit_filter {
    const char *entity; /* id of the workflow, number of the account, name of the definition, … that
                           a record is about. Of a workflow or an account only its own records are
                           read */
    const char *actor;
    const char *event;         /* "stage_activated", … */
    uint64_t first_lsn;        /* both included */
    uint64_t last_lsn;         /* 0: to the end */
    int64_t first_ms, last_ms; /* time of the record, both included; 0: any */
};
/* Every event in the log that the filter lets through, oldest first. WF_USAGE: no event has that
 * name. */
WF_API enum wf_status wf_audit_show(struct wf_engine *engine, const struct wf_audit_filter *filter,
                                    wf_event_fn on_event, void *ctx, struct wf_error *err);

/* Check every byte of the trail and compute its head; `old` (may be NULL) is one that was kept: is
 * the trail still the one that it was made of? Works beside a live owner, and on a store that does
 * not open. WF_DAMAGE: the text names the first bad LSN and whom it concerns; `first_bad` is that
 * LSN. `head` and `first_bad` may be NULL. */
WF_API enum wf_status wf_audit_verify(const char *dir, const struct wf_tree_head *old,
                                      wf_finding_fn on_finding, void *ctx,
                                      struct wf_log_report *report, struct wf_tree_head *head,
                                      uint64_t *first_bad, struct wf_error *err);

/* --- archives: old segments, compressed, still readable and provable --- */

struct wf_archive_options {
    size_t size;            /* set by wf_archive_options_init() */
    uint64_t keep_segments; /* archive what is beyond so many segments … */
    int64_t older_than_ms;  /* … or whose newest record is older … */
    uint64_t max_bytes; /* … or beyond so many bytes of log. 0: no such limit; all 0: everything
                           that can be */
    bool snapshot;      /* write a snapshot first: only what is behind one can be archived */
    bool seal;          /* seal the open segment first, so that it can be archived too */
    unsigned threads;   /* 0: as many as the machine has processors */
    void (*on_progress)(void *ctx, uint64_t bytes, uint64_t total); /* may be NULL */
    void *ctx;
};
struct wf_archive_report {
    uint64_t segments, bytes_before, bytes_after;
};
WF_API void wf_archive_options_init(struct wf_archive_options *options);
/* Compress segments that are sealed and wholly behind the snapshot, the oldest first; the newest
 * always stays. Each is verified before its segment is removed; a crash at any instant leaves the
 * one or the other, and running it again goes on. Commands go on meanwhile. `options` (NULL: the
 * defaults) and `report` may be NULL. */
WF_API enum wf_status wf_archive_run(struct wf_engine *engine,
                                     const struct wf_archive_options *options,
                                     struct wf_archive_report *report, struct wf_error *err);

struct wf_archive {
    const char *name;
    uint64_t first_lsn, last_lsn;
    uint64_t size, segment_size; /* bytes of the archive, of the segment it was made of */
    int64_t first_ms, last_ms;   /* times of its records */
    char root[WF_HASH_HEX];      /* Merkle root of its segment */
    char sha256[WF_HASH_HEX];    /* of the file */
    uint64_t dropped_lsn;        /* of the record that says it was dropped; 0: it is here */
    int64_t dropped_ms;
    const char *dropped_by;
};
typedef bool (*wf_archive_fn)(void *ctx, const struct wf_archive *archive);
WF_API enum wf_status wf_archive_list(struct wf_engine *engine, wf_archive_fn on_archive, void *ctx,
                                      struct wf_error *err);
/* What is to be dropped, by whom and why. Zero it first. */
struct wf_archive_drop {
    uint64_t before_lsn; /* archives that end before this LSN (UINT64_MAX: all) … */
    int64_t before_ms;   /* … or before this time: one of the two */
    const char *actor;
    const char *reason;
    const char *key;                                             /* idempotency key; optional */
    void (*on_progress)(void *ctx, uint64_t lsn, uint64_t last); /* may be NULL */
    void *ctx;
};
struct wf_archive_dropped {
    uint64_t lsn;  /* of the record that says so */
    bool replayed; /* the key was used before: this is what went then */
    uint64_t segments, first_lsn, last_lsn;
    uint64_t bytes; /* of the files that went */
};
/* Drop the oldest archives for good. A record of the log says which, by whom and why, and is
 * durable before anything goes. What remains can be proved as before: the hashes of the dropped
 * records are kept, and so is the state after the last of them, from which wf_replay_verify(), and
 * an opening whose snapshot is lost, then begin. Reads every record that goes, and holds that state
 * in memory. Commands go on meanwhile; a crash at any instant leaves all of it, or a drop that the
 * next opening carries on. A dropped record is WF_NOT_FOUND with words that say so, and
 * "records_dropped" in a history; a command under a key that was used in one is refused, for its
 * first outcome cannot be told any more. WF_REFUSED: nothing lies wholly before that, or it is
 * beyond the end of the log, or later than the store's time. WF_DAMAGE: what is to go cannot be
 * read. `report` may be NULL. */
WF_API enum wf_status wf_archive_drop(struct wf_engine *engine, const struct wf_archive_drop *drop,
                                      struct wf_archive_dropped *report, struct wf_error *err);
/* What would go; `report->lsn` is 0. Changes nothing, and works for a reader too. Reads what would
 * go, so that WF_REFUSED and WF_DAMAGE are as there. */
WF_API enum wf_status wf_archive_drop_plan(struct wf_engine *engine,
                                           const struct wf_archive_drop *drop,
                                           struct wf_archive_dropped *report, struct wf_error *err);
/* Decompress and check every archive of the store in `dir`, as wf_log_verify() does with all of the
 * log. */
WF_API enum wf_status wf_archive_verify(const char *dir, wf_finding_fn on_finding, void *ctx,
                                        struct wf_log_report *report, struct wf_error *err);

/* Counters since opening, in the Prometheus text format. The caller frees with free(). */
WF_API enum wf_status wf_metrics(struct wf_engine *engine, char **text, struct wf_error *err);

/* The named instants, NULL after the last; for wf_options.on_point. */
WF_API const char *const *wf_points(void);
/* "refused", "not_found", …: the word for a status, as wfctl's JSON has it. */
WF_API const char *wf_status_code(enum wf_status status);
WF_API const char *wf_version(void);

#ifdef __cplusplus
}
#endif

#endif
