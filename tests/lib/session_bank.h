/* A bank in an engine's store with a few sessions of one pool, for tests of what these see of each
 * other. Failures of it end the test. */
#ifndef TESTS_LIB_SESSION_BANK_H
#define TESTS_LIB_SESSION_BANK_H

#include "tests/lib/engine_fixture.h"

enum { SESSION_BANK_MAX = 3, SESSION_LEVELS = 3 };
extern const enum wf_isolation session_levels[SESSION_LEVELS]; /* the weakest first */

struct session_bank {
    struct engine_fixture f;
    struct wf_pool *pool;
    size_t session_count;
    struct wf_session *sessions[SESSION_BANK_MAX];
    uint64_t random; /* the test's own */
};

/* A store on the simulated disk, with no account and no session. */
void session_bank_init(struct session_bank *bank);
void session_bank_deinit(struct session_bank *bank); /* its sessions are closed */
/* So many sessions of a new pool, whose transactions may take as long as they like. */
void session_bank_open_sessions(struct session_bank *bank, size_t count);
void session_bank_close_sessions(struct session_bank *bank);
void session_bank_open_account(struct session_bank *bank, const char *number, const char *currency,
                               const char *balance);
void session_bank_begin(struct session_bank *bank, int who, enum wf_isolation isolation);

/* Did it happen? */
typedef bool (*session_anomaly_fn)(struct session_bank *bank, enum wf_isolation isolation);
struct session_anomaly {
    const char *name;
    session_anomaly_fn happens;
    bool may[SESSION_LEVELS]; /* else it must not; where it may, it must be seen to */
};
/* Let each happen, or not, at each level, in a bank of its own that `setup` and `teardown` make and
 * end, as cmocka calls them. The test fails where one comes out otherwise. */
void session_anomalies_check(const struct session_anomaly *anomalies, size_t count,
                             int (*setup)(void **state), int (*teardown)(void **state));

#endif
