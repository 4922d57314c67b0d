/* A store in memory for tests of the pure core: commands are decided, reserved and applied as the
 * shell does it, without a log. Failures of the fixture itself end the test. */
#ifndef TESTS_CORE_STORE_H
#define TESTS_CORE_STORE_H

#include "engine/core/apply.h"
#include "engine/core/check.h"
#include "engine/core/decide.h"
#include "engine/core/text.h"

struct core_store {
    struct state state;
    struct decision decision;                       /* of the last command */
    uint64_t lsn;                                   /* of the last record */
    int64_t now_ms;                                 /* the clock of the next command */
    uint64_t keys_max;                              /* keys in force after a record; 0: no bound */
    void (*on_record)(const struct record *record); /* each one, before it is applied; NULL: no */
    struct wf_error err;
};

/* A created store with the system's clock at 2026-01-01T00:00:00Z; `test_clock`: with one of its
 * own. */
struct core_store *core_store_open(bool test_clock);
void core_store_close(struct core_store *store);

/* Decide and, where there are events, apply; check_state() holds afterwards. The status decided. */
enum wf_status core_store_execute(struct core_store *store, const struct command *command);
/* The record that a decided command makes; borrows from both. */
struct record core_store_record(struct core_store *store, const struct command *command);

/* "a=1 b=2" as fields; `fields` has room for 16, `text` is cut into pieces. */
size_t core_fields(char *text, struct field *fields);

/* Commands in one line; `fields` as core_fields() has them, NULL: none. */
enum wf_status core_define(struct core_store *store, const char *yaml);
enum wf_status core_start(struct core_store *store, const char *id, const char *type,
                          const char *fields);
enum wf_status core_submit(struct core_store *store, const char *id, const char *step,
                           const char *fields);
enum wf_status core_fail(struct core_store *store, const char *id, const char *stage,
                         const char *reason);
enum wf_status core_cancel(struct core_store *store, const char *id, const char *reason);
enum wf_status core_cancel_back(struct core_store *store, const char *id, const char *reason,
                                const char *actor); /* with rollback */
enum wf_status core_rollback(struct core_store *store, const char *id, const char *stage,
                             const char *actor);
/* `verdict`: COMMAND_REVIEW_APPROVE or COMMAND_REVIEW_REJECT. */
enum wf_status core_review(struct core_store *store, enum command_kind verdict, const char *id,
                           const char *stage, const char *actor, const char *role);
/* Fire the timers that are due at now_ms, in order; how many there were. */
size_t core_fire_due(struct core_store *store);
/* `maps`: "old=new …", NULL: none. */
enum wf_status core_migrate(struct core_store *store, const char *id, uint32_t version,
                            const char *maps);
enum wf_status core_advance(struct core_store *store, int64_t by_ms);
/* The same with an idempotency key; the body's hash is made of `body`. */
enum wf_status core_submit_keyed(struct core_store *store, const char *id, const char *step,
                                 const char *fields, const char *key, uint8_t body);

struct workflow *core_workflow(struct core_store *store, const char *id);
/* "completed active blocked blocked" */
const char *core_stages(struct core_store *store, const char *id, char out[512]);
/* The five steps of a loan, with their fields. */
extern const char *const core_loan_steps[5][2];
extern const char core_loan_yaml[];
/* Version 2 of it: credit_check is called credit_rating, income_verification may take two minutes,
 * and a stage "audit" waits for credit_rating. */
extern const char core_loan_2_yaml[];

#endif
