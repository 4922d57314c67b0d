/* Our own threads, which the host does not know. */
#include "base/thread.h"

#include <signal.h>

/* Signals are the host's business: one that is meant for its process must not end up on a thread of
 * ours, where the handler interrupts nothing of the host's (a ppoll() would sleep on). Faults stay
 * open: they belong to the thread that makes them. */
static void mask_of_signals(sigset_t *mask) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
    sigfillset(mask);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        sigdelset(mask, faults[i]);
    }
}

bool thread_start(pthread_t *thread, void *(*run)(void *ctx), void *ctx) {
    sigset_t mask, before;
    mask_of_signals(&mask);
    pthread_sigmask(SIG_SETMASK, &mask, &before); /* the new thread inherits it */
    bool started = pthread_create(thread, NULL, run, ctx) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}
