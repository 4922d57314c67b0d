/* The inside of a simulated machine, shared by sim_io.c (its controls), sim_calls.c (the calls) and
 * sim_trace.c (their record). Tests include sim_io.h. */
#ifndef TESTS_LIB_SIM_STATE_H
#define TESTS_LIB_SIM_STATE_H

#include "tests/lib/sim_io.h"

#include <pthread.h>

/* An open file. Owned by the sim's list, a share of its path too. */
struct io_file {
    struct sim_io *sim;
    struct sim_name *path;
    uint64_t number;
    uint32_t node;
    unsigned flags;
    bool locks; /* holds the lock of the node */
    struct io_file *next;
};

/* A recorded call. Owns shares of both names. */
struct sim_record {
    struct sim_call call;
    struct sim_name *path, *to;
};

struct sim_io {
    struct io io; /* first, so that the seam's pointer is ours */
    pthread_mutex_t mutex;
    struct sim_disk disk;
    struct sim_faults faults;
    struct io_file *files;
    uint64_t opened; /* numbers the handles */
    uint64_t seed;
    uint64_t random; /* state of the sequence */
    int64_t time_ms;
    uint64_t monotonic_ns;
    bool preallocates;

    uint64_t boundaries;
    uint64_t stop_at;
    bool dead;
    sim_boundary_fn on_boundary;
    void *hook_ctx;

    bool traces;
    struct sim_record *trace;
    size_t trace_count, trace_capacity;
};

extern const struct io_ops sim_io_ops;

/* Record a call, where the trace is on. The lock is held. */
void sim_trace_add(struct sim_io *sim, const struct sim_call *call);
void sim_trace_clear(struct sim_io *sim);

#endif
