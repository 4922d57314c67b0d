/* An open store for tests of the engine's shell: on the machine's disk in a temporary folder, or on
 * a simulated disk with simulated snapshots, where faults and crashes are wanted. It has a test
 * clock and the loan application. Failures of the fixture itself end the test. */
#ifndef TESTS_LIB_ENGINE_FIXTURE_H
#define TESTS_LIB_ENGINE_FIXTURE_H

#include "engine/engine.h"
#include "tests/lib/sim_io.h"
#include "tests/lib/sim_snapshot.h"

enum { FIXTURE_PATH_MAX = 256, FIXTURE_STEPS = 5 };

struct engine_fixture {
    struct wf_engine *engine; /* NULL: not open */
    struct wf_options options;
    struct wf_error err;
    char root[FIXTURE_PATH_MAX]; /* "": simulated */
    char dir[FIXTURE_PATH_MAX + 16];
    struct sim_io *sim;              /* NULL: on the machine's disk */
    struct sim_snapshots *snapshots; /* likewise */
};

/* The test fails, with the text of `fixture->err`, where it is not WF_OK. */
void must(struct engine_fixture *fixture, enum wf_status status);

/* Make the store and open it, with the loan application as LSN 2. */
void fixture_init_disk(struct engine_fixture *fixture);
void fixture_init_sim(struct engine_fixture *fixture);
/* The same without making a store: only the place for one. */
void fixture_prepare_disk(struct engine_fixture *fixture);
void fixture_prepare_sim(struct engine_fixture *fixture);
void fixture_deinit(struct engine_fixture *fixture);

/* As cmocka wants them, for a test that needs no more than that. */
int fixture_setup_disk(void **state);
int fixture_setup_sim(void **state);
int fixture_teardown(void **state);

enum wf_status fixture_try_open(struct engine_fixture *fixture);
void fixture_open(struct engine_fixture *fixture);
void fixture_close(struct engine_fixture *fixture);
/* Close and open; `snapshot`: with a last snapshot. */
void fixture_reopen(struct engine_fixture *fixture, bool snapshot);
/* Simulated only: the machine loses power (choice 0: all that was not synced is gone; SIZE_MAX: the
 * process died and the disk has everything). Not open afterwards. */
void fixture_crash(struct engine_fixture *fixture, size_t choice);

/* One command each. `key` may be NULL. The step is an index into the loan's five. */
enum wf_status fixture_start(struct engine_fixture *fixture, const char *id, const char *key);
enum wf_status fixture_submit(struct engine_fixture *fixture, const char *id, int step,
                              const char *key, struct wf_result *result);
enum wf_status fixture_cancel(struct engine_fixture *fixture, const char *id, const char *reason,
                              const char *key, struct wf_result *result);
/* The same, which must succeed: start, then so many steps. */
void fixture_loan(struct engine_fixture *fixture, const char *id, int steps);
/* "L0000", "L0001", …, one after the other. */
void fixture_loans(struct engine_fixture *fixture, int first, int count, int steps);
const char *fixture_id(int number, char id[16]);
void fixture_define(struct engine_fixture *fixture);

/* The account has this balance. */
void fixture_holds(struct engine_fixture *fixture, const char *number, const char *balance);
/* The state hash; static, until the fourth call from now. */
const char *fixture_hash(struct engine_fixture *fixture);
/* A replay from the first record comes to the state that is kept. */
void fixture_verify(struct engine_fixture *fixture);
struct wf_store_status fixture_status(struct engine_fixture *fixture);
/* What one can see of a workflow in one line: status, stage, steps, LSN; "-" where there is none.
 * `lsn` UINT64_MAX: now. */
void fixture_describe(struct engine_fixture *fixture, const char *id, uint64_t lsn, char text[512]);

/* Threads that make boundary calls of the simulated disk (see sim_io.h) stop at a closed gate. */
struct fixture_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closed;
    int waiting;
};
void fixture_gate_init(struct fixture_gate *gate, struct engine_fixture *fixture);
void fixture_gate_close(struct fixture_gate *gate);
void fixture_gate_await(struct fixture_gate *gate); /* until a thread stands before it */
void fixture_gate_open(struct fixture_gate *gate);
void fixture_gate_deinit(struct fixture_gate *gate, struct engine_fixture *fixture);

#endif
