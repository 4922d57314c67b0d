/* What a log must hold after a crash: every record that was submitted to it, at which LSN, and what
 * its caller was told. Checks a recovered log against that. */
#ifndef TESTS_SIM_WAL_MODEL_H
#define TESTS_SIM_WAL_MODEL_H

#include "tests/sim/explore.h"
#include "wal/wal.h"

enum {
    MODEL_SUBMISSIONS_MAX = 400,
    MODEL_PAYLOAD_MAX = 32 * 1024, /* bytes */
    MODEL_PAYLOAD_MIN = 2,         /* holds the content's number */
};

enum model_fate {
    MODEL_SUBMITTED, /* nobody was told anything: it may be there or not */
    MODEL_ACKED,     /* must be there */
    MODEL_GONE,      /* failed for certain, or a recovery did not find it: must never be there */
};

/* A record given to wal_append(). Its payload follows from content and size. */
struct model_submission {
    uint64_t lsn;
    uint16_t content; /* as a rule its index; that of a failed one where the caller tries again */
    uint32_t size;
    enum model_fate fate;
};

struct model {
    bool created;                     /* wal_create() returned */
    uint64_t first_low, first_high;   /* the oldest record still kept may have an LSN from .. to */
    bool damaged;                     /* opening may refuse until a repair */
    uint64_t lossy_first, lossy_last; /* LSNs that were damaged: a repair may lose them; 0: none */
    struct wal_position position;     /* of a durable record, size 0: none was taken */
    size_t count;
    struct model_submission all[MODEL_SUBMISSIONS_MAX];
};

/* A log on a simulated disk, the model beside it. */
struct log_run {
    struct explorer *explorer;
    struct sim_io *sim;
    struct wal_options options;
    struct wal *wal; /* NULL: not open */
    struct model model;
    uint64_t random;
    uint64_t cuts;                 /* wal_cuts() as last seen */
    struct wal_ticket tickets[64]; /* appended, not waited for */
    size_t submissions[64];        /* their indices in the model */
    size_t waiting;
    bool hostile;  /* faults are planned: calls may fail */
    bool may_fill; /* the disk may be full: appends may fail for certain */
    bool failed;   /* an invariant did not hold: go no further */
};

extern const char *const model_dir; /* of the log, below the root */
extern const struct explore_subject model_subject;

/* A run on `sim`, whose log is still to be made. */
void log_run_init(struct log_run *run, struct explorer *explorer, struct sim_io *sim,
                  uint64_t seed);
void log_run_deinit(struct log_run *run); /* closes the log without a word */

bool log_run_create(struct log_run *run); /* wal_create() only */
/* Open, where need be after a creation that was cut short or a repair, and check every record. What
 * is not there is gone for good. With planned faults it may fail, and then must have a reason for
 * it. */
bool log_run_open(struct log_run *run);
bool log_run_close(struct log_run *run);
/* Append a record; its status, checked for what may happen. */
enum wf_status log_run_append(struct log_run *run, size_t size);
/* Wait for all that were appended, in order; the first status that is not WF_OK. */
enum wf_status log_run_wait(struct log_run *run);
/* One record appended and waited for. */
enum wf_status log_run_command(struct log_run *run, size_t size);
/* explore_check() that stops the run. */
bool log_run_check(struct log_run *run, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
