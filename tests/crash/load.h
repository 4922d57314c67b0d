/* The load under which a program is killed: threads that take many loans through their scripts at
 * once, singly or in groups, run errands between them, and tell the oracle. */
#ifndef CRASH_LOAD_H
#define CRASH_LOAD_H

#include "tests/crash/errands.h"
#include "tests/crash/oracle.h"

struct load_options {
    unsigned threads; /* 1..ORACLE_THREADS, each with its share of the loans */
    unsigned group;   /* commands that are enqueued before any is waited for; 1: wf_execute() */
    uint64_t seed;
};

/* Run until the loans are used up (or the process is killed). False: see oracle->failure, which has
 * that of the errands too. */
bool load_run(struct wf_engine *engine, struct oracle *oracle, struct errands *errands,
              const struct load_options *options);

#endif
