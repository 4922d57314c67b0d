#include "tests/sim/some_fault.h"

#include "tests/lib/sim_memory.h"

struct sim_fault some_failed_sync(uint64_t *random) {
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    fault.nth = sim_random_between(random, 1, 2);
    fault.persistent = sim_random_between(random, 0, 3) == 0;
    fault.amount = sim_random_between(random, 0, 3);
    return fault;
}

struct sim_fault some_failed_call(uint64_t *random) {
    static const enum sim_op ops[] = {SIM_WRITE,  SIM_TRUNCATE,       SIM_PREALLOCATE,
                                      SIM_RENAME, SIM_SYNC_DIRECTORY, SIM_OPEN};
    static const enum sim_fault_kind kinds[] = {SIM_FAULT_EIO, SIM_FAULT_FULL, SIM_FAULT_SHORT};
    struct sim_fault fault = {.op = ops[sim_random_between(random, 0, 5)]};
    fault.kind = kinds[sim_random_between(random, 0, 2)];
    fault.nth = sim_random_between(random, 1, 2);
    fault.amount = sim_random_between(random, 0, 40);
    /* An endless row of short writes is no disk. */
    fault.persistent = fault.kind != SIM_FAULT_SHORT && sim_random_between(random, 0, 2) == 0;
    return fault;
}

struct sim_fault some_failed_write(uint64_t *random) {
    struct sim_fault fault = {.kind = SIM_FAULT_EIO};
    fault.op = sim_random_between(random, 0, 1) == 0 ? SIM_SYNC : SIM_WRITE;
    fault.nth = sim_random_between(random, 1, 3);
    fault.amount = sim_random_between(random, 0, 2);
    return fault;
}
