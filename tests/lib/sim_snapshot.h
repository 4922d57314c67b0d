/* A model of store/snapshot.h in memory: sorted arrays whose committed generation survives a
 * simulated crash. Owns a simulated disk of snapshots by directory name, independent of any
 * simulated disk of files: of the `struct io` that open() gets only io_point() is used.
 *
 * A test gives sim_snapshot_provider() to the code under test, plans faults, and after a crash goes
 * on with sim_snapshot_survivor(), which holds what was durable. Calls are thread-safe but create
 * and destroy. */
#ifndef TESTS_LIB_SIM_SNAPSHOT_H
#define TESTS_LIB_SIM_SNAPSHOT_H

#include "store/snapshot.h"

struct sim_snapshots;

/* An empty disk; NULL where memory fails. */
struct sim_snapshots *sim_snapshot_create(void);
/* All snapshots of it must have been closed. Takes NULL. */
void sim_snapshot_destroy(struct sim_snapshots *disk);
/* Borrowed; lives as long as the disk. */
const struct snapshot_provider *sim_snapshot_provider(struct sim_snapshots *disk);

/* The n-th commit from now (1 is the next one) answers `status` and changes nothing. 0 takes the
 * plan back. */
void sim_snapshot_fail_commit(struct sim_snapshots *disk, uint64_t nth, enum wf_status status);

enum sim_snapshot_moment { SIM_SNAPSHOT_BEFORE, SIM_SNAPSHOT_AFTER };
/* The process dies in the n-th commit from now, before or after the commit took effect: it and
 * every later call answers WF_IO. `on_crash` (may be NULL) is called at that moment, so that a
 * simulated disk of files can die with it. nth 0 takes the plan back. */
typedef void (*sim_snapshot_crash_fn)(void *ctx);
void sim_snapshot_crash_commit(struct sim_snapshots *disk, uint64_t nth,
                               enum sim_snapshot_moment moment, sim_snapshot_crash_fn on_crash,
                               void *ctx);
/* The process dies now. */
void sim_snapshot_kill(struct sim_snapshots *disk);
bool sim_snapshot_is_dead(struct sim_snapshots *disk);
/* What the next process finds: a new disk with the committed generations, no handles, no faults.
 * NULL where memory fails. The old one must still be destroyed. */
struct sim_snapshots *sim_snapshot_survivor(struct sim_snapshots *disk);

/* Make the snapshot in `dir` damaged: opening it, and reading from it, is WF_DAMAGE. False: there
 * is none. */
bool sim_snapshot_damage(struct sim_snapshots *disk, const char *dir);
bool sim_snapshot_exists(struct sim_snapshots *disk, const char *dir);
/* How many commits took effect, and how many snapshots are open. */
uint64_t sim_snapshot_commits(struct sim_snapshots *disk);
size_t sim_snapshot_open_count(struct sim_snapshots *disk);

#endif
