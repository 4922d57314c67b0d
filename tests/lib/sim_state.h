/* The inside of a simulated machine, shared by sim_io.c (its controls), sim_doing.c (how a call
 * begins and ends), sim_calls.c and sim_names.c (the calls) and sim_trace.c (their record). Tests
 * include sim_io.h. */
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

/* --- sim_doing.c: a call enters (boundary, death, planned fault, lock), does its work on the
 * disk's cache, and leaves (trace, unlock) --- */

/* A call under way: what the trace records, and the fault that it meets (NULL: none). */
struct sim_doing {
    struct sim_io *sim;
    struct sim_call call;
    const struct sim_fault *fault;
    struct wf_error *err;
};

struct sim_io *sim_machine_of(struct io *io);
struct sim_doing sim_on_path(struct io *io, enum sim_op op, const char *path, struct wf_error *err);
struct sim_doing sim_on_file(struct io_file *file, enum sim_op op, uint64_t offset, uint64_t size,
                             struct wf_error *err);
/* Begin a call and take the lock, in any case. WF_OK: go on, doing->fault says what to do amiss. */
enum wf_status sim_enter(struct sim_doing *doing, bool is_boundary);
/* The same for a call that a planned failure leaves without effect: it has failed already. */
enum wf_status sim_enter_whole(struct sim_doing *doing, bool is_boundary);
/* End it with this status, which is returned. */
enum wf_status sim_leave(struct sim_doing *doing, enum wf_status status);
/* Put the failure into words; returns `status`. */
enum wf_status sim_fail(const struct sim_doing *doing, enum wf_status status, const char *reason);
bool sim_meets(const struct sim_doing *doing, enum sim_fault_kind kind);
/* The status of a planned failure, WF_OK where none is planned. */
enum wf_status sim_planned(const struct sim_doing *doing);
/* Sync a file or a directory, as the planned fault has it. */
enum wf_status sim_sync_node(struct sim_doing *doing, uint32_t node);

/* --- sim_names.c: see struct io_ops --- */

enum wf_status sim_call_stat(struct io *io, const char *path, enum io_kind *kind, uint64_t *size,
                             struct wf_error *err);
enum wf_status sim_call_list(struct io *io, const char *path, io_name_fn on_name, void *ctx,
                             struct wf_error *err);
enum wf_status sim_call_make_directory(struct io *io, const char *path, struct wf_error *err);
enum wf_status sim_call_rename(struct io *io, const char *from, const char *to,
                               struct wf_error *err);
enum wf_status sim_call_remove(struct io *io, const char *path, struct wf_error *err);
enum wf_status sim_call_sync_directory(struct io *io, const char *path, struct wf_error *err);

#endif
