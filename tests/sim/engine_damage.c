/* Records that go bad on the disk below an engine: it is repaired, and what is lost is told. */
#include "tests/sim/engine_scenarios.h"

/* A record at or below the durable mark goes bad. */
void scenario_repair(struct store_run *run) {
    store_run_unwatch(run);
    if (!store_run_open(run) || !scenario_define(run)) {
        return;
    }
    scenario_commands(run, 5);
    if (!run->failed && scenario_pick(run, 0, 1) == 0) {
        store_run_checkpoint(run);
    }
    scenario_commands(run, 3);
    uint64_t last = run->failed ? 0 : run->engine->last.lsn;
    run->options.snapshot_on_close = false;
    if (last < 5 || !store_run_close(run)) {
        return;
    }
    uint64_t lsn = scenario_pick(run, 3, last - 1); /* not the last: nothing vouches for that one */
    struct store_record *hurt = NULL;
    for (size_t i = 0; i < run->model.count; i++) {
        hurt = run->model.all[i].lsn == lsn ? &run->model.all[i] : hurt;
    }
    if (hurt == NULL) {
        return;
    }
    store_run_lose(run, lsn, lsn);
    sim_rot(run->sim, "store/wal/00000000000000000001.seg",
            hurt->offset + scenario_pick(run, 0, 60), 0x10);
    store_run_watch(run);
    if (store_run_open(run)) { /* damaged, repaired, and opened */
        scenario_commands(run, 2);
    }
}

/* The first record that a write to these sectors hits; 0: the segment's header. */
static uint64_t first_hit(const struct store_run *run, size_t first_sector) {
    uint64_t hit = 0;
    for (size_t i = 0; i < run->model.count && first_sector > 0; i++) {
        const struct store_record *record = &run->model.all[i];
        if (record->lsn != 0 && record->offset <= (uint64_t)first_sector * SIM_SECTOR_SIZE) {
            hit = record->lsn; /* the one that begins before the sector may end in it */
        }
    }
    return hit;
}

/* The disk puts a record where older ones are, and says that all went well. Later ones vouch for
 * what is missing then: a refusal, and a repair that tells all that it loses. As long as the good
 * pages are in the cache nobody can see it, a repair neither: so they are dropped first. */
void scenario_astray(struct store_run *run) {
    static const char segment[] = "store/wal/00000000000000000001.seg";
    store_run_unwatch(run);
    run->options.snapshot_on_close = false;
    if (!store_run_open(run) || !scenario_define(run)) {
        return;
    }
    scenario_commands(run, 6);
    struct sim_fault astray = {.op = SIM_WRITE,
                               .kind = SIM_FAULT_MISDIRECT,
                               .path = segment,
                               .shift_sectors = -(int64_t)scenario_pick(run, 1, 2)};
    uint64_t offset = run->failed ? 0 : run->engine->last.offset;
    int64_t target = (int64_t)(offset / SIM_SECTOR_SIZE) + astray.shift_sectors;
    uint64_t first = target < 1 ? 0 : first_hit(run, (size_t)target);
    if (first < 3 || run->failed) { /* the store's own first records: nothing could be kept */
        return;
    }
    sim_fault_add(run->sim, &astray);
    struct store_command command = {
        .kind = WF_WORKFLOW_START, .number = run->next_number++, .loan = STORE_LOANS};
    store_run_execute(run, &command);
    sim_fault_clear(run->sim);
    uint64_t last = run->failed ? 0 : run->engine->last.lsn;
    scenario_commands(run, 2);
    if (run->failed || run->engine->last.lsn == last || !store_run_close(run)) {
        return;
    }
    sim_drop_caches(run->sim);
    store_run_lose(run, first, last);
    store_run_watch(run);
    if (store_run_open(run)) {
        scenario_commands(run, 2);
    }
}
