/* The I/O seam (base/io.h) on a simulated disk: what a real machine does to a program that does not
 * sync, at will and repeatably. Owns a disk (tests/lib/sim_disk.h has the model of durability),
 * open handles, planned faults, a clock, a seeded source of randomness and a trace of the calls.
 *
 * A test runs its code on sim_io_of(sim), crashes it with sim_crash_into(), which makes a new sim
 * that holds what the crash left, and runs recovery on that. All calls are thread-safe but create
 * and destroy. */
#ifndef TESTS_LIB_SIM_IO_H
#define TESTS_LIB_SIM_IO_H

#include "base/io.h"
#include "tests/lib/sim_disk.h"
#include "tests/lib/sim_faults.h"

struct sim_io;

/* An empty disk with an existing root directory ("/", which "." means as well). The same seed and
 * the same calls give the same bytes. */
struct sim_io *sim_io_create(uint64_t seed);
/* Handles still open are closed; the caller must not use them afterwards. Takes NULL. */
void sim_io_destroy(struct sim_io *sim);
struct io *sim_io_of(struct sim_io *sim);
/* A second disk in the same state, changes pending included; no handles, faults, hooks or trace. */
struct sim_io *sim_io_clone(struct sim_io *sim);

/* --- crashes --- */

/* See sim_disk_choices() and sim_disk_crash(). The new sim has the clock and the free space of the
 * old one, and no handles, locks, faults, hooks or trace. */
size_t sim_crash_choices(struct sim_io *sim);
struct sim_io *sim_crash_into(struct sim_io *sim, size_t choice, uint64_t rubbish);
size_t sim_pending_count(struct sim_io *sim); /* changes that a crash may lose now */
/* The choice that keeps only the pending change `index` (they are in the order in which they were
 * made), or loses only that one. */
size_t sim_crash_choice(struct sim_io *sim, size_t index, bool keeps);

/* A boundary is a call that may change the disk: open with IO_CREATE, write, sync, truncate,
 * preallocate, make_directory, rename, remove, sync_directory. How many there were since the sim
 * was made. */
uint64_t sim_boundaries(struct sim_io *sim);
/* From the n-th boundary (counted from 1) on every call fails with WF_IO and changes nothing: the
 * process is dead and the scenario unwinds. 0: never. */
void sim_stop_at(struct sim_io *sim, uint64_t nth);
bool sim_is_dead(struct sim_io *sim);
/* Called before each boundary takes effect, with the number that it has, on the thread that makes
 * the call and without a lock: the hook may crash or clone the sim, but not do I/O on it. NULL:
 * none. */
typedef void (*sim_boundary_fn)(void *ctx, struct sim_io *sim, uint64_t boundary);
void sim_on_boundary(struct sim_io *sim, sim_boundary_fn on_boundary, void *ctx);

/* --- faults --- */

void sim_fault_add(struct sim_io *sim, const struct sim_fault *fault); /* see sim_faults.h */
void sim_fault_clear(struct sim_io *sim);
uint64_t sim_fault_hits(struct sim_io *sim); /* calls that met one since the last clear */
/* Leave so much free space: what grows beyond it gets WF_FULL, or a short write first. Removing and
 * truncating gives space back. UINT64_MAX: no limit. */
void sim_set_free_bytes(struct sim_io *sim, uint64_t free_bytes);
/* May preallocate() do anything? Where not it succeeds without effect, as on some file systems. */
void sim_set_preallocation(struct sim_io *sim, bool works);
/* Invert bits of a byte on the disk. A missing file is left alone: false. */
bool sim_rot(struct sim_io *sim, const char *path, uint64_t offset, uint8_t mask);
/* See sim_disk_drop_caches(). */
void sim_drop_caches(struct sim_io *sim);

/* --- the machine --- */

void sim_set_time_ms(struct sim_io *sim, int64_t time_ms);
void sim_advance_ms(struct sim_io *sim,
                    int64_t ms);           /* the monotonic clock too, where it is positive */
size_t sim_open_files(struct sim_io *sim); /* handles not closed yet: 0 shows that none leaks */
uint64_t sim_hash(struct sim_io *sim);     /* of all names and bytes as calls see them */

/* --- the trace --- */

/* One call. `path` is as it was given; `to` is the new name of a rename, else "". */
struct sim_call {
    enum sim_op op;
    uint64_t handle; /* numbers the opens; 0 where the call takes a path */
    const char *path;
    const char *to;
    uint64_t offset; /* bytes */
    uint64_t size;   /* bytes asked for; the new size of truncate and preallocate */
    enum wf_status status;
};

void sim_trace_start(struct sim_io *sim); /* forgets what was recorded; off until then */
size_t sim_trace_count(struct sim_io *sim);
struct sim_call sim_trace_at(struct sim_io *sim,
                             size_t index); /* strings valid until the next start */
/* Index of the first call at or after `from` of this kind on a path that ends in `path` (NULL:
 * any); SIZE_MAX: none. */
size_t sim_trace_find(struct sim_io *sim, size_t from, enum sim_op op, const char *path);
/* Was a handle synced again whose sync had failed? */
bool sim_trace_resynced(struct sim_io *sim);
void sim_trace_print(struct sim_io *sim); /* to stderr, one line per call, for a test that failed */

#endif
