/* Faults planned for the calls of a simulated disk: which call fails, how often, and in what way.
 * Owns the list of rules; sim_io.c carries out what a rule says. */
#ifndef TESTS_LIB_SIM_FAULTS_H
#define TESTS_LIB_SIM_FAULTS_H

#include "base/io.h"
#include "tests/lib/sim_memory.h"

/* The calls of struct io_ops. */
enum sim_op {
    SIM_OPEN,
    SIM_CLOSE,
    SIM_SIZE,
    SIM_READ,
    SIM_WRITE,
    SIM_SYNC,
    SIM_TRUNCATE,
    SIM_PREALLOCATE,
    SIM_LOCK,
    SIM_IS_LOCKED,
    SIM_STAT,
    SIM_LIST,
    SIM_MAKE_DIRECTORY,
    SIM_RENAME,
    SIM_REMOVE,
    SIM_SYNC_DIRECTORY,
    SIM_RANDOM,
    SIM_POINT, /* a named instant: for the trace and SIM_FAULT_DEATH only */
    SIM_OP_COUNT,
};

enum sim_fault_kind {
    /* WF_IO. A write leaves its first `amount` bytes behind. A sync makes the first `amount`
     * pending changes durable and forgets the other sectors: the next one succeeds. */
    SIM_FAULT_EIO,
    SIM_FAULT_FULL,  /* WF_FULL, without effect (a sync: as SIM_FAULT_EIO) */
    SIM_FAULT_SHORT, /* a write or read of only `amount` bytes (0: half of them), and WF_OK */
    SIM_FAULT_LOST, /* WF_OK and a lie: a write never reaches the disk, a sync makes nothing durable
                     */
    SIM_FAULT_MISDIRECT, /* a write reaches the disk in the wrong place: `victim`, `shift_sectors`
                          */
    SIM_FAULT_FLIP, /* a read shows one bit of the byte at `amount` of it inverted; the disk is well
                     */
    SIM_FAULT_DEATH, /* the process dies before the call: it and all that follow fail */
};

/* One rule. Copied by sim_fault_add(). */
struct sim_fault {
    enum sim_op op;
    enum sim_fault_kind kind;
    const char *path;   /* only calls on paths that end so; NULL: any */
    uint64_t nth;       /* the call that it hits, counted from 1 since the rule was added; 0 is 1 */
    bool persistent;    /* and every one after that */
    uint64_t amount;    /* see the kinds */
    const char *victim; /* path of the file that a misdirected write hits; NULL: the same one */
    int64_t shift_sectors; /* where in it, from the place that was meant */
};

struct sim_fault_rule {
    struct sim_fault fault; /* its strings are owned below */
    struct sim_name *path;
    struct sim_name *victim;
    uint64_t seen; /* matching calls so far */
};

struct sim_faults {
    struct sim_fault_rule *rules;
    size_t count, capacity;
    uint64_t hits; /* calls that met a fault */
};

void sim_faults_deinit(struct sim_faults *faults);
void sim_faults_add(struct sim_faults *faults, const struct sim_fault *fault);
/* Count this call in every rule and return the first that hits it, borrowed; NULL: none. */
const struct sim_fault *sim_faults_match(struct sim_faults *faults, enum sim_op op,
                                         const char *path);

const char *sim_op_name(enum sim_op op);
bool sim_path_ends(const char *path, const char *end); /* a NULL `end` matches all */

#endif
