#include "base/thread.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void *read_mask(void *ctx) {
    pthread_sigmask(SIG_BLOCK, NULL, ctx);
    return NULL;
}

static void test_thread_takes_no_signal_but_its_own_faults(void **state) {
    (void)state;
    sigset_t before, after, mask;
    pthread_t thread;
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    assert_int_equal(sigismember(&before, SIGUSR1), 0);
    assert_true(thread_start(&thread, read_mask, &mask));
    assert_int_equal(pthread_join(thread, NULL), 0);
    static const int blocked[] = {SIGUSR1, SIGINT, SIGTERM, SIGCHLD, SIGALRM, SIGHUP};
    for (size_t i = 0; i < sizeof blocked / sizeof blocked[0]; i++)
        assert_int_equal(sigismember(&mask, blocked[i]), 1);
    assert_int_equal(sigismember(&mask, SIGSEGV), 0);
    assert_int_equal(sigismember(&mask, SIGABRT), 0);
    /* Whoever starts it takes signals as before. */
    assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGUSR1), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread_takes_no_signal_but_its_own_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
