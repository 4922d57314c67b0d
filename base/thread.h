/* Threads of ours in a process of the host's. */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Start a thread that no signal for the process is handled on. Joined with pthread_join(). False:
 * there is none. */
bool thread_start(pthread_t *thread, void *(*run)(void *ctx), void *ctx);

#endif
