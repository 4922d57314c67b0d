/* The whole engine on a machine that loses what was not synced: at every call that changes the
 * disk, and around and inside every commit of the snapshot, the machine crashes, the store is
 * recovered, and what was promised is compared with what is there. One run in ten has its snapshots
 * in real LMDB, on the memory file system of the machine that runs this. How to run it:
 * tests/sim/campaign.h. */
#include "tests/sim/campaign.h"
#include "tests/sim/engine_scenarios.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LMDB_EVERY = 10 };

static char lmdb_folder[64];
static uint64_t lmdb_states; /* of all that were explored */

static uint64_t run_once(struct explorer *explorer, size_t scenario, uint64_t seed, size_t samples,
                         const struct sim_fault *planted) {
    static struct store_run run;
    struct sim_io *sim = sim_io_create(seed);
    static uint64_t rounds; /* each of them twice: without samples, then with */
    rounds += planted == NULL && samples == 0;
    bool lmdb = planted == NULL && rounds % LMDB_EVERY == 1;
    uint64_t states = explorer->states;
    struct machine_snapshots *snapshots = machine_snapshots_create(lmdb ? lmdb_folder : NULL);
    store_run_init(&run, explorer, sim, snapshots, seed);
    explorer->samples = samples;
    if (planted != NULL) {
        sim_fault_add(sim, planted);
    }
    store_run_watch(&run);
    engine_scenario_runs[scenario](&run);
    if (!run.failed) {
        explore_now(explorer, sim, &run.model);
    }
    if (!run.failed && samples == 0) {
        store_run_check_uncrashed(&run);
    }
    store_run_unwatch(&run);
    store_run_deinit(&run);
    uint64_t boundaries = sim_boundaries(sim);
    machine_snapshots_destroy(snapshots);
    sim_io_destroy(sim);
    lmdb_states += lmdb ? explorer->states - states : 0;
    return boundaries;
}

int main(int argc, char **argv) {
    const struct campaign campaign = {.subject = &store_subject,
                                      .scenarios = engine_scenarios,
                                      .count = ENGINE_SCENARIOS,
                                      .states_default = 55000,
                                      .long_factor = 10,
                                      .run_once = run_once,
                                      .planted = {0, 1}};
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
    snprintf(lmdb_folder, sizeof lmdb_folder, "%.40s/wf-sim.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(lmdb_folder) == NULL) {
        perror(lmdb_folder);
        return 1;
    }
    int result = campaign_main(&campaign, argc, argv);
    printf("%" PRIu64 " states with real LMDB\n", lmdb_states);
    rmdir(lmdb_folder);
    return result;
}
