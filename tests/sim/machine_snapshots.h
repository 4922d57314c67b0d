/* The snapshots of a simulated machine, which crash together with its disk: the model in most runs,
 * real LMDB on the machine's own memory file system in some. Owns what a crash leaves of them.
 *
 * LMDB syncs a commit's pages and then writes the page that makes them count. So at every moment
 * outside a commit its file as it stands is what a crash leaves; inside one, the crash leaves the
 * old first two pages and any part of the others. Both are made here, from copies of the file. */
#ifndef TESTS_SIM_MACHINE_SNAPSHOTS_H
#define TESTS_SIM_MACHINE_SNAPSHOTS_H

#include "store/snapshot.h"
#include "tests/lib/sim_snapshot.h"

struct machine_snapshots;

/* Called just before and just after each commit, and for LMDB in the middle of it: a crash at this
 * moment can be explored. */
typedef void (*machine_commit_fn)(void *ctx);

/* `folder` NULL: the model; else LMDB, below that folder of the real machine. */
struct machine_snapshots *machine_snapshots_create(const char *folder);
void machine_snapshots_destroy(struct machine_snapshots *snapshots); /* takes NULL */
const struct snapshot_provider *machine_snapshots_provider(struct machine_snapshots *snapshots);
void machine_snapshots_on_commit(struct machine_snapshots *snapshots, machine_commit_fn on_commit,
                                 void *ctx);
/* What the next process finds after a crash now. */
struct machine_snapshots *machine_snapshots_survivor(struct machine_snapshots *snapshots,
                                                     uint64_t random);
/* Changes whenever survivors do. */
uint64_t machine_snapshots_digest(struct machine_snapshots *snapshots);
/* The model alone, to plan faults; NULL: it is LMDB. */
struct sim_snapshots *machine_snapshots_model(struct machine_snapshots *snapshots);
/* Damage what is kept for the store in `dir`: false where there is nothing. None may be open. */
bool machine_snapshots_damage(struct machine_snapshots *snapshots, const char *dir,
                              uint64_t random);
size_t machine_snapshots_open_count(struct machine_snapshots *snapshots);

#endif
