/* One line of exec as a request: which command, its members, checked against the table of what it
 * takes. */
#ifndef WFCTL_EXEC_REQUEST_H
#define WFCTL_EXEC_REQUEST_H

#include "engine/wf.h"
#include "tools/wfctl/emit.h"
#include "tools/wfctl/operations.h"

struct json_t;

/* Members of a request. */
enum member {
    MEMBER_CMD,
    MEMBER_ID,
    MEMBER_STEP,
    MEMBER_DATA,
    MEMBER_KEY,
    MEMBER_TAG,
    MEMBER_TYPE,
    MEMBER_WORKFLOW, /* another word for the type, as answers have it */
    MEMBER_VERSION,
    MEMBER_STAGE,
    MEMBER_REASON,
    MEMBER_ACTOR,
    MEMBER_TEXT,
    MEMBER_NAME,
    MEMBER_DURATION,
    MEMBER_AS_OF,
    MEMBER_STATUS,
    MEMBER_WHERE,
    MEMBER_LIMIT,
    MEMBER_AFTER,
    MEMBER_TO,
    MEMBER_ROLE,
    MEMBER_ATTEMPT,
    MEMBER_ROLLBACK,
    MEMBER_MAP,
    MEMBER_WORKER,
    MEMBER_EPOCH,
    MEMBER_LEASE,
    MEMBER_COMPENSATE,
    MEMBER_DRY_RUN,
    MEMBER_NUMBER, /* of an account: another word for the id */
    MEMBER_CURRENCY,
    MEMBER_BALANCE,
    MEMBER_MINIMUM,
    MEMBER_OPS,
    MEMBER_ALL,
    MEMBER_LSN,
    MEMBER_BEFORE, /* an LSN or a time */
    MEMBER_SESSION,
    MEMBER_ISOLATION,
    MEMBER_PREFIX,
    MEMBER_BALANCE_MIN,
    MEMBER_BALANCE_MAX,
    MEMBER_MIN,
    MEMBER_MAX,
    MEMBER_ACQUIRE_TIMEOUT,
    MEMBER_CREATE_TIMEOUT,
    MEMBER_IDLE_TIMEOUT,
    MEMBER_TRANSACTION_TIMEOUT,
    MEMBER_COUNT,
};

struct request;

/* Answer at once: write the value of "result". `*lsn` is that of the record it made, left alone
 * where it made none. */
typedef enum wf_status (*request_answer_fn)(struct wf_engine *engine, const struct request *request,
                                            struct emit *json, uint64_t *lsn, struct wf_error *err);

struct request_kind {
    const char *name;
    enum wf_command_kind command; /* to enqueue; 0: `answer`. With a session: its commit */
    request_answer_fn answer;
    uint64_t takes, needs; /* bits 1 << enum member; cmd and tag go with all */
};

/* Reuse one for all lines: strings and fields of `command` live in it until the next line. Zero it
 * first. */
struct request {
    const struct request_kind *kind;
    struct json_t *members[MEMBER_COUNT]; /* NULL: not given */
    const char *unknown;                  /* name of a member that is none */
    struct wf_command command;            /* where kind->command; operations where given */
    bool dry_run;                         /* answer what the command would do */
    struct wf_field fields[WF_FIELDS_MAX];
    char numbers[WF_FIELDS_MAX][32]; /* numbers among the values, as text */
    struct operations operations;
};

/* Memory for the JSON of one line comes from one block that is reused. Call once, and again to
 * release it. */
enum wf_status request_memory_init(struct wf_error *err);
void request_memory_deinit(void);

/* Parse and check. WF_USAGE: the line is malformed; `tag` may be there all the same. */
enum wf_status request_decode(struct request *request, const char *line, size_t size,
                              struct wf_error *err);
/* The tag as JSON, appended to `to`; nothing where there is none. */
void request_write_tag(const struct request *request, struct bytes_buffer *to);

/* The id, or the number that stands for it. */
const char *request_id(const struct request *request);
/* What an answer asks of its request. NULL where a member is not given. */
const char *request_string(const struct request *request, enum member member);
/* A place in the log as it was given: a number is an LSN, a string a time; the other is kept. */
enum wf_status request_place(const struct request *request, enum member member, uint64_t *lsn,
                             int64_t *time_ms, struct wf_error *err);
/* A place in the log: an LSN, or the time of the last record at or before it. */
enum wf_status request_lsn(struct wf_engine *engine, const struct request *request,
                           enum member member, uint64_t *lsn, struct wf_error *err);
uint64_t request_uint(const struct request *request, enum member member, uint64_t otherwise);

/* The answers, in exec_answer.c. */
enum wf_status answer_workflow_show(struct wf_engine *, const struct request *, struct emit *,
                                    uint64_t *, struct wf_error *);
enum wf_status answer_workflow_history(struct wf_engine *, const struct request *, struct emit *,
                                       uint64_t *, struct wf_error *);
enum wf_status answer_workflow_list(struct wf_engine *, const struct request *, struct emit *,
                                    uint64_t *, struct wf_error *);
enum wf_status answer_plan(struct wf_engine *, const struct request *, struct emit *, uint64_t *,
                           struct wf_error *);
enum wf_status answer_review_list(struct wf_engine *, const struct request *, struct emit *,
                                  uint64_t *, struct wf_error *);
/* In exec_task.c. */
enum wf_status answer_task_claim(struct wf_engine *, const struct request *, struct emit *,
                                 uint64_t *, struct wf_error *);
enum wf_status answer_task_list(struct wf_engine *, const struct request *, struct emit *,
                                uint64_t *, struct wf_error *);
enum wf_status answer_dry_run(struct wf_engine *, const struct request *, struct emit *, uint64_t *,
                              struct wf_error *);
enum wf_status answer_def_diff(struct wf_engine *, const struct request *, struct emit *,
                               uint64_t *, struct wf_error *);
enum wf_status answer_def_list(struct wf_engine *, const struct request *, struct emit *,
                               uint64_t *, struct wf_error *);
enum wf_status answer_def_show(struct wf_engine *, const struct request *, struct emit *,
                               uint64_t *, struct wf_error *);
enum wf_status answer_clock_show(struct wf_engine *, const struct request *, struct emit *,
                                 uint64_t *, struct wf_error *);
enum wf_status answer_clock_advance(struct wf_engine *, const struct request *, struct emit *,
                                    uint64_t *, struct wf_error *);
enum wf_status answer_clock_tick(struct wf_engine *, const struct request *, struct emit *,
                                 uint64_t *, struct wf_error *);
enum wf_status answer_account_show(struct wf_engine *, const struct request *, struct emit *,
                                   uint64_t *, struct wf_error *);
enum wf_status answer_account_list(struct wf_engine *, const struct request *, struct emit *,
                                   uint64_t *, struct wf_error *);
enum wf_status answer_account_statement(struct wf_engine *, const struct request *, struct emit *,
                                        uint64_t *, struct wf_error *);
enum wf_status answer_account_history(struct wf_engine *, const struct request *, struct emit *,
                                      uint64_t *, struct wf_error *);
enum wf_status answer_account_check(struct wf_engine *, const struct request *, struct emit *,
                                    uint64_t *, struct wf_error *);
enum wf_status answer_reference_list(struct wf_engine *, const struct request *, struct emit *,
                                     uint64_t *, struct wf_error *);
enum wf_status answer_status(struct wf_engine *, const struct request *, struct emit *, uint64_t *,
                             struct wf_error *);
enum wf_status answer_archive_drop(struct wf_engine *, const struct request *, struct emit *,
                                   uint64_t *, struct wf_error *);
enum wf_status answer_snapshot_create(struct wf_engine *, const struct request *, struct emit *,
                                      uint64_t *, struct wf_error *);

/* --- sessions: exec_session.c. They belong to the process. --- */

enum wf_status answer_session_pool(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_open(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_close(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_begin(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_execute(struct wf_engine *engine, const struct request *request,
                                      struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_show(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_list(struct wf_engine *engine, const struct request *request,
                                   struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_count(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err);
/* savepoint, rollback_to, release */
enum wf_status answer_session_savepoint(struct wf_engine *engine, const struct request *request,
                                        struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_rollback(struct wf_engine *engine, const struct request *request,
                                       struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status answer_session_stats(struct wf_engine *engine, const struct request *request,
                                    struct emit *json, uint64_t *lsn, struct wf_error *err);
enum wf_status enqueue_session_commit(const struct request *request, struct wf_pending *pending,
                                      struct wf_error *err);
/* Give all sessions back, before the store is closed. */
void exec_sessions_end(void);

#endif
