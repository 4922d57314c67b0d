/* Every allocation of a transaction fails once: it is told, nothing has changed, nothing leaks, and
 * the same transaction works afterwards. */
/* link: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free */
#include "tests/lib/engine_fixture.h"
#include "tests/lib/failing_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ALLOCATIONS_MAX = 2000 };

struct bank {
    struct engine_fixture f;
    struct wf_pool *pool;
    struct wf_session *reader; /* has a snapshot open; NULL: there is none */
    enum wf_isolation isolation;
};

typedef enum wf_status (*operation_fn)(struct bank *b, struct wf_error *err);

static enum wf_status open_account(struct bank *b, const char *number, struct wf_error *err) {
    const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                       .id = number,
                                       .type = "checking",
                                       .currency = "USD",
                                       .amount = "10000.00"};
    return wf_execute(b->f.engine, &command, NULL, err);
}

static void open_bank(struct bank *b) {
    fixture_init_disk(&b->f);
    assert_int_equal(open_account(b, "A", &b->f.err), WF_OK);
    assert_int_equal(open_account(b, "B", &b->f.err), WF_OK);
    assert_int_equal(open_account(b, "C", &b->f.err), WF_OK);
}

/* Without the n-th allocation, for every n that the operation has; at last with all. */
static void sweep(struct bank *b, const char *what, operation_fn operation) {
    bool refused = true;
    for (unsigned n = 1; refused; n++) {
        assert_true(n < ALLOCATIONS_MAX);
        struct wf_error err;
        char before[65];
        snprintf(before, sizeof before, "%s", fixture_hash(&b->f));
        failing_memory_arm(n, false);
        enum wf_status status = operation(b, &err);
        refused = failing_memory_disarm();
        if (status != WF_OK && (status != WF_NO_MEMORY || !refused))
            fail_msg("%s without allocation %u: %s: %s", what, n, wf_status_code(status), err.text);
        if (status != WF_OK && strcmp(before, fixture_hash(&b->f)) != 0)
            fail_msg("%s without allocation %u failed and changed the state", what, n);
    }
}

static enum wf_status move(struct wf_session *session, const char *from, const char *to,
                           struct wf_error *err) {
    static const char *const rules[] = {"sufficient_funds", "same_currency"};
    const struct wf_operation operation = {.type = "transfer",
                                           .from = from,
                                           .to = to,
                                           .amount = "1.00",
                                           .currency = "USD",
                                           .rules = rules,
                                           .rule_count = 2};
    return wf_session_execute(session, &operation, 1, NULL, err);
}

static enum wf_status work(struct wf_session *session, struct wf_error *err) {
    struct wf_account *account = NULL;
    uint64_t count;
    enum wf_status status = move(session, "A", "B", err);
    if (status == WF_OK)
        status = wf_session_savepoint(session, "s", err);
    if (status == WF_OK)
        status = move(session, "B", "C", err);
    if (status == WF_OK)
        status = wf_session_rollback_to(session, "s", err);
    if (status == WF_OK)
        status = wf_session_account(session, "C", &account, err);
    wf_account_free(account);
    if (status == WF_OK)
        status = wf_session_count(session, NULL, &count, err);
    return status == WF_OK ? wf_session_commit(session, NULL, NULL, NULL, err) : status;
}

/* All of it, from making a pool. */
static enum wf_status transact(struct bank *b, struct wf_error *err) {
    struct wf_pool *pool;
    struct wf_session *session = NULL;
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    options.sessions_min = 1;
    options.background = false;
    enum wf_status status = wf_pool_open(b->f.engine, &options, &pool, err);
    if (status != WF_OK)
        return status;
    status = wf_pool_acquire(pool, &session, err);
    if (status == WF_OK)
        status = wf_session_begin(session, b->isolation, err);
    if (status == WF_OK)
        status = work(session, err);
    wf_session_release(session);
    assert_int_equal(wf_pool_close(pool, NULL), WF_OK);
    assert_null(b->f.engine->versions.first);
    return status;
}

static void test_session_memory_transactions_change_nothing_without(void **state) {
    (void)state;
    static struct bank bank;
    open_bank(&bank);
    for (int level = WF_READ_COMMITTED; level <= WF_SERIALIZABLE; level++) {
        bank.isolation = (enum wf_isolation)level;
        sweep(&bank, wf_isolation_name(bank.isolation), transact);
    }
    fixture_verify(&bank.f);
    fixture_deinit(&bank.f);
}

/* Others change accounts beside an open snapshot, which keeps what they were. */
static enum wf_status transfer_beside(struct bank *b, struct wf_error *err) {
    const struct wf_operation operation = {
        .type = "transfer", .from = "A", .to = "B", .amount = "1.00", .currency = "USD"};
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    enum wf_status status = wf_session_begin(b->reader, WF_SNAPSHOT, err);
    if (status == WF_OK)
        status = wf_execute(b->f.engine, &command, NULL, err);
    assert_int_equal(wf_session_rollback(b->reader, NULL), WF_OK);
    assert_int_equal(b->f.engine->versions.bytes, 0);
    return status;
}

static enum wf_status open_beside(struct bank *b, struct wf_error *err) {
    static unsigned number;
    char name[16];
    snprintf(name, sizeof name, "N%u", number++);
    enum wf_status status = wf_session_begin(b->reader, WF_SNAPSHOT, err);
    if (status == WF_OK)
        status = open_account(b, name, err);
    assert_int_equal(wf_session_rollback(b->reader, NULL), WF_OK);
    return status;
}

static void test_session_memory_records_beside_a_snapshot_change_nothing_without(void **state) {
    (void)state;
    static struct bank bank;
    open_bank(&bank);
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    options.background = false;
    assert_int_equal(wf_pool_open(bank.f.engine, &options, &bank.pool, &bank.f.err), WF_OK);
    assert_int_equal(wf_pool_acquire(bank.pool, &bank.reader, &bank.f.err), WF_OK);
    sweep(&bank, "a transfer beside a snapshot", transfer_beside);
    sweep(&bank, "an opening beside a snapshot", open_beside);
    wf_session_release(bank.reader);
    assert_int_equal(wf_pool_close(bank.pool, &bank.f.err), WF_OK);
    fixture_verify(&bank.f);
    fixture_deinit(&bank.f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_memory_transactions_change_nothing_without),
        cmocka_unit_test(test_session_memory_records_beside_a_snapshot_change_nothing_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
