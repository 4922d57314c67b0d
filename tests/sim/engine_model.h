/* What a store must hold after a crash: every record that was made in it, with the state hash that
 * the running engine had after it, and what its caller was told. Checks a recovered store against
 * that. */
#ifndef TESTS_SIM_ENGINE_MODEL_H
#define TESTS_SIM_ENGINE_MODEL_H

#include "engine/engine.h"
#include "tests/sim/explore.h"
#include "tests/sim/machine_snapshots.h"

enum {
    STORE_RECORDS_MAX = 160,
    STORE_LOANS = 4, /* workflows that commands are about, besides new ones */
    STORE_PENDING_MAX = 12,
    STORE_VALUE_MAX = 40 * 1024, /* bytes of the one large field of a command */
};

/* A command, from which the bytes that it is given as follow. */
struct store_command {
    enum wf_command_kind kind;
    uint16_t number; /* of the first attempt; makes texts and keys differ */
    uint8_t loan;    /* STORE_LOANS and above: a new one */
    uint8_t step;
    bool keyed;
    uint16_t value_size; /* bytes of its last field */
    /* engine_errand.h: */
    bool errand;     /* of the type errand, no loan application */
    bool claim;      /* no command: the task that is due first is claimed */
    bool compensate; /* of a task, with the next two */
    uint32_t epoch, tries;
    bool money; /* a submission that moves some: engine_money.h */
    /* engine_timer.h: */
    bool tick;      /* no command: what is due fires */
    int64_t now_ms; /* the clock when it is given; 0: a test clock, which stands */
};

enum store_fate {
    STORE_SUBMITTED, /* nobody was told anything: it may be there or not */
    STORE_ACKED,     /* must be there */
    STORE_GONE,      /* failed for certain, or a recovery did not find it: must never be there */
};

/* A record, and the command that made it. */
struct store_record {
    struct store_command command;
    uint64_t lsn;
    uint64_t offset;  /* in its segment */
    uint64_t content; /* a hash of its bytes; 0: not known to have reached the log */
    bool has_hash;    /* not where records before it were lost */
    struct digest_sum hash;
    enum store_fate fate;
};

struct store_run;

struct store_model {
    struct store_run *run;            /* the process that makes these promises */
    bool created;                     /* a first opening returned */
    bool damaged;                     /* opening may refuse until a repair, which adds records */
    uint64_t lossy_first, lossy_last; /* LSNs that were damaged: a repair may lose them; 0: none */
    size_t count;
    struct store_record all[STORE_RECORDS_MAX];
};

/* A store on a simulated machine, the model beside it. */
struct store_run {
    struct explorer *explorer;
    struct sim_io *sim;
    struct machine_snapshots *snapshots;
    struct wf_options options;
    struct wf_engine *engine; /* NULL: not open */
    struct store_model model;
    uint64_t random;
    uint16_t next_number;
    uint64_t log_bytes; /* engine->log_bytes before the command under way */
    struct wf_pending pending[STORE_PENDING_MAX];
    size_t records[STORE_PENDING_MAX]; /* the record that each made, or SIZE_MAX */
    size_t waiting;
    bool watched;  /* commits are crash points too */
    bool errands;  /* workflows are errands */
    bool timers;   /* the clock is engine_timer.h's */
    bool money;    /* stages move some */
    bool hostile;  /* faults are planned: calls may fail */
    bool may_fill; /* the disk may be full: commands may fail for certain */
    bool failed;   /* an invariant did not hold: go no further */
};

extern const char *const store_dir;
extern const struct explore_subject store_subject;

/* A run whose store is still to be made. Borrows machine and snapshots. */
void store_run_init(struct store_run *run, struct explorer *explorer, struct sim_io *sim,
                    struct machine_snapshots *snapshots, uint64_t seed);
/* Before the store is made: its clock is the host's. */
void store_run_use_clock(struct store_run *run, int64_t (*now_ms)(void *ctx));
void store_run_deinit(struct store_run *run); /* closes the store without a word */
/* Explore crashes from now on: at each boundary of the disk, and around each commit. */
void store_run_watch(struct store_run *run);
void store_run_unwatch(struct store_run *run);

/* Open, where need be after a creation that was cut short or a repair, and check all that is there.
 * What is not there is gone for good. With planned faults it may fail, and then must have a reason
 * for it. */
bool store_run_open(struct store_run *run);
bool store_run_close(struct store_run *run);
/* Enqueue a command; its status, checked for what may happen. */
enum wf_status store_run_enqueue(struct store_run *run, const struct store_command *command);
/* Wait for all that were enqueued, in order; the first status that is not WF_OK. */
enum wf_status store_run_wait(struct store_run *run);
/* One command, waited for, or a claim, or a tick. */
enum wf_status store_run_execute(struct store_run *run, const struct store_command *command);
/* These records are going to be damaged: opening may refuse, a repair may lose them, and the states
 * behind them are others than they were. */
void store_run_lose(struct store_run *run, uint64_t first_lsn, uint64_t last_lsn);
/* A checkpoint, which must succeed unless faults are planned. */
void store_run_checkpoint(struct store_run *run);
/* Archive what can be, which must succeed. */
void store_run_archive(struct store_run *run, bool seal);
/* Run everything that was acknowledged once more, on a machine without faults or crashes: the same
 * state after each record. Not after records were lost. */
void store_run_check_uncrashed(struct store_run *run);
/* The parts of store_run_open(): open without a look; compare what is open with the model. */
enum wf_status store_run_try_open(struct store_run *run, struct wf_error *err);
bool store_run_read(struct store_run *run);
/* Note the record of a command in whose middle the process died. */
void store_model_learn_from_dead(struct store_model *model);
/* explore_check() that stops the run. */
bool store_run_check(struct store_run *run, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
