/* Deadlines in order: core/timers.c. What moved to a later time is put right when its old time is
 * the first. check_state() holds after each command (tests/lib/core_store.c). */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char yaml[] = "workflow: w\nversion: 1\n"
                           "steps: {s: {completes: a}, t: {completes: b}}\n"
                           "stages:\n"
                           "  - {name: a, timeout: 10s}\n"
                           "  - {name: b, needs: [a], timeout: 1h}\n";

static int open_store(void **state) {
    struct core_store *store = core_store_open(false);
    assert_int_equal(core_define(store, yaml), WF_OK);
    *state = store;
    return 0;
}

static int close_store(void **state) {
    core_store_close(*state);
    return 0;
}

static void test_timers_move_to_a_later_time(void **state) {
    struct core_store *store = *state;
    struct timers *timers = &store->state.timers;
    int64_t start_ms = store->now_ms;
    core_start(store, "A", "w", NULL);
    store->now_ms += 1000;
    core_start(store, "B", "w", NULL);
    core_submit(store, "A", "s", NULL);
    assert_true(timers_bound_ms(timers) <= start_ms + 11000);
    assert_string_equal(timers_first(timers)->workflow->id, "B");
    assert_int_equal(timers_bound_ms(timers), start_ms + 11000);
    core_submit(store, "B", "s", NULL);
    assert_string_equal(timers_first(timers)->workflow->id, "A"); /* the same time: by id */
    assert_int_equal(timers_first(timers)->due_ms, start_ms + 1000 + 3600 * 1000);
}

static void test_timers_forget_what_has_ended(void **state) {
    struct core_store *store = *state;
    struct timers *timers = &store->state.timers;
    core_start(store, "A", "w", NULL);
    core_start(store, "B", "w", NULL);
    core_cancel(store, "A", "no longer wanted");
    assert_string_equal(timers_first(timers)->workflow->id, "B");
    core_cancel(store, "B", "likewise");
    assert_null(timers_first(timers));
    assert_int_equal(timers->count, 0);
    assert_int_equal(timers_bound_ms(timers), INT64_MAX);
}

static void test_timers_move_to_an_earlier_time(void **state) {
    struct core_store *store = *state;
    struct timers *timers = &store->state.timers;
    core_start(store, "A", "w", NULL);
    core_submit(store, "A", "s", NULL);
    timers_first(timers); /* at an hour from now */
    core_start(store, "B", "w", NULL);
    assert_string_equal(timers_first(timers)->workflow->id, "B");
    struct workflow *moved = core_workflow(store, "A");
    moved->stages[1].deadline_ms = store->now_ms + 5000;
    timers_follow(timers, moved);
    assert_ptr_equal(timers_first(timers)->workflow, moved);
    assert_int_equal(timers_bound_ms(timers), store->now_ms + 5000);
}

/* Every workflow does what it likes, and the first is always the one that a look at all finds. */
static void test_timers_first_is_the_first_of_all(void **state) {
    struct core_store *store = *state;
    enum { COUNT = 300, COMMANDS = 5000 };
    srand(3);
    for (int i = 0; i < COMMANDS; i++) {
        char id[16];
        snprintf(id, sizeof id, "W%d", rand() % COUNT);
        store->now_ms += rand() % 50;
        const struct workflow *workflow = core_workflow(store, id);
        if (workflow == NULL)
            core_start(store, id, "w", NULL);
        else if (rand() % 4 == 0)
            core_cancel(store, id, "no longer wanted");
        else
            core_submit(store, id, workflow->stages[0].status == STAGE_ACTIVE ? "s" : "t", NULL);
        int64_t least_ms = INT64_MAX;
        size_t at = 0;
        unsigned stage;
        for (const struct workflow *w; (w = table_next(&store->state.workflows, &at)) != NULL;) {
            int64_t due_ms = workflow_due(w, &stage);
            least_ms = due_ms != 0 && due_ms < least_ms ? due_ms : least_ms;
        }
        assert_true(timers_bound_ms(&store->state.timers) <= least_ms);
        if (i % 3 != 0)
            continue; /* let some come late */
        const struct timer *first = timers_first(&store->state.timers);
        assert_int_equal(first != NULL ? first->due_ms : INT64_MAX, least_ms);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
    const struct CMUnitTest tests[] = {
        TEST(test_timers_move_to_a_later_time),
        TEST(test_timers_forget_what_has_ended),
        TEST(test_timers_move_to_an_earlier_time),
        TEST(test_timers_first_is_the_first_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
