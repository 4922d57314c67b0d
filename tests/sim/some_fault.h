/* Faults that scenarios plan for a simulated disk, chosen by a seeded sequence: the same kinds for
 * the log alone and for the engine around it. Owns nothing. */
#ifndef TESTS_SIM_SOME_FAULT_H
#define TESTS_SIM_SOME_FAULT_H

#include "tests/lib/sim_faults.h"

/* A sync that fails, once or for good, after some of its changes reached the disk. */
struct sim_fault some_failed_sync(uint64_t *random);
/* Any call that changes the disk: it fails, is told that the disk is full, or falls short. */
struct sim_fault some_failed_call(uint64_t *random);
/* A write or a sync, once. */
struct sim_fault some_failed_write(uint64_t *random);

#endif
