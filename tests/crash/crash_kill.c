/* Kill -9 at random instants, again and again.
 *
 * A child opens the store (recovering what the kill before it left), compares all of it with the
 * oracle, and then works on many loans and errands from several threads until SIGKILL comes: after
 * a random time under load, while it recovers, or at the n-th of the engine's named instants. The
 * oracle lies in memory that child and parent share, and is written only after the engine said
 * WF_OK.
 *
 * The clock is a test clock, so that no stage times out. CRASH_KILLS (300; 10,000 in make
 * test-long; fewer under a sanitizer) kills; CRASH_SEED repeats the choices of a run,
 * though not the scheduler's. Fails where no command or no workflow was in flight at the kills:
 * such a test shows nothing. */
#include "tests/crash/load.h"
#include "tests/crash/scratch.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    KILLS = 300,
    KILLS_LONG = 10000,
    KILLS_PER_STORE = 25,
    VERIFY_EVERY = 5,       /* openings; a replay from the first record is read then */
    CLOSER_LOOKS = 40,      /* loans whose history and key are checked at each opening */
    LOAD_US_MAX = 6000,     /* the kill comes that long after the load began, at most … */
    RECOVERY_US_MAX = 4000, /* the same for kills during recovery, since the child was made */
    /* … both times scratch_slowness(). */
    POINT_MAX = 80,       /* which named instant, counted from the opening */
    POINT_US_MAX = 30000, /* how long to wait for it */
    PATIENCE_US = 60 * 1000000,
};

enum phase { PHASE_OPENING, PHASE_LOADING, PHASE_IDLE };

/* Shared with the children. */
struct shared {
    _Atomic int phase;
    _Atomic uint64_t replayed;   /* records, at the last opening */
    _Atomic int64_t points_left; /* the child kills itself at this named instant; below 0: not */
    struct oracle oracle;
    struct errands errands;
};

struct store {
    char dir[PATH_MAX];
    struct wf_options options;
    unsigned openings;
};

struct totals {
    uint64_t kills, under_load, in_recovery, at_points, stores, verified;
    uint64_t commands_in_flight, workflows_in_flight, without_commands;
    uint64_t unacked_kept, unacked_lost, acked;
    uint64_t going_back, gone_back, claimed, errands_done, errands_back;
};

static void count_point(void *ctx, const char *point) {
    struct shared *shared = ctx;
    (void)point;
    if (shared->points_left >= 0 && atomic_fetch_sub(&shared->points_left, 1) == 0)
        kill(getpid(), SIGKILL);
}

/* Small segments and frequent snapshots in most stores, so that rotations and snapshots are hit. */
static void choose_options(struct choices *choices, struct shared *shared,
                           struct wf_options *options) {
    static const uint64_t SEGMENTS[] = {64 << 10, 64 << 10, 128 << 10, 64 << 20};
    static const uint64_t SNAPSHOTS[] = {8 << 10, 32 << 10, 128 << 10, 0};
    static const uint64_t MEMORIES[] = {256 << 20, 256 << 20, 256 << 10};
    wf_options_init(options);
    options->create = true;
    options->test_clock = true;
    options->test_clock_ms = INT64_C(1767225600000);
    options->segment_size = SEGMENTS[choices_below(choices, 4)];
    options->snapshot_log_bytes = SNAPSHOTS[choices_below(choices, 4)];
    options->memory_max = MEMORIES[choices_below(choices, 3)];
    options->background_snapshots = choices_one_in(choices, 2);
    options->on_point = count_point;
    options->point_ctx = shared;
}

/* Everything that can be told of a store that was just opened. */
static bool check_store(struct shared *shared, struct wf_engine *engine, struct choices *choices,
                        bool verify) {
    struct oracle *oracle = &shared->oracle;
    if (!oracle_settle(oracle, engine))
        return false;
    if (!errands_settle(&shared->errands, engine))
        return oracle_fail(oracle, "%s", shared->errands.failure);
    for (unsigned i = 0; i < CLOSER_LOOKS; i++) {
        uint32_t loan = (uint32_t)choices_below(choices, ORACLE_LOANS);
        if (!oracle_check_history(oracle, engine, loan) || !oracle_check_key(oracle, engine, loan))
            return false;
    }
    for (unsigned i = 0; i < CLOSER_LOOKS; i++)
        if (!errands_check_again(&shared->errands, engine,
                                 (unsigned)choices_below(choices, ERRANDS)))
            return oracle_fail(oracle, "%s", shared->errands.failure);
    return !verify || oracle_check_replay(oracle, engine);
}

/* The child's life. Returns its exit status, should it not be killed. */
static int live(struct shared *shared, const struct store *store, uint64_t seed, bool verify) {
    struct choices choices = {.state = seed};
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_store_status status;
    if (wf_open(store->dir, &store->options, &engine, &err) != WF_OK ||
        wf_status_get(engine, false, &status, &err) != WF_OK) {
        oracle_fail(&shared->oracle, "open: %s", err.text);
        return 1;
    }
    shared->replayed = status.replayed;
    if (!check_store(shared, engine, &choices, verify) || !oracle_define(&shared->oracle, engine))
        return 1;
    if (!errands_define(&shared->errands, engine) || !errands_resume(&shared->errands, engine)) {
        oracle_fail(&shared->oracle, "%s", shared->errands.failure);
        return 1;
    }
    const struct load_options load = {
        .threads = 1 + (unsigned)choices_below(&choices, ORACLE_THREADS),
        .group = choices_one_in(&choices, 3) ? 1 : 1 + (unsigned)choices_below(&choices, 200),
        .seed = choices_next(&choices),
    };
    shared->phase = PHASE_LOADING;
    if (!load_run(engine, &shared->oracle, &shared->errands, &load))
        return 1;
    shared->phase = PHASE_IDLE;
    for (;;)
        pause();
}

/* Wait until the child loads; false when it ended, or never got there. */
static bool wait_for_load(struct shared *shared, pid_t child, int *status) {
    uint64_t start = scratch_now_us();
    while (shared->phase == PHASE_OPENING) {
        if (waitpid(child, status, WNOHANG) == child)
            return false; /* at a named instant before its load, or by itself */
        if (scratch_now_us() - start > PATIENCE_US) {
            oracle_fail(&shared->oracle, "the child does not come to its load");
            kill(child, SIGKILL);
            waitpid(child, status, 0);
            return false;
        }
        usleep(100);
    }
    return true;
}

static pid_t make_child(struct shared *shared, const struct store *store, uint64_t seed,
                        bool verify) {
    shared->phase = PHASE_OPENING;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(live(shared, store, seed, verify));
    if (child < 0)
        oracle_fail(&shared->oracle, "fork: %s", strerror(errno));
    return child;
}

/* Kill the child after the delay; one that is to kill itself at a named instant may take longer. */
static void end_child(pid_t child, uint64_t delay_us, bool at_point, int *status) {
    for (uint64_t waited_us = 0; at_point && waited_us < POINT_US_MAX; waited_us += 200) {
        if (waitpid(child, status, WNOHANG) == child)
            return;
        usleep(200);
    }
    if (!at_point)
        usleep((useconds_t)delay_us);
    kill(child, SIGKILL);
    waitpid(child, status, 0);
}

/* One child and its death. False: something is wrong. */
static bool kill_once(struct shared *shared, struct store *store, struct choices *choices,
                      struct totals *totals) {
    bool verify = ++store->openings % VERIFY_EVERY == 0;
    bool in_recovery = choices_one_in(choices, 8);
    bool at_point = !in_recovery && choices_one_in(choices, 4);
    uint64_t delay_us =
        choices_below(choices, in_recovery ? RECOVERY_US_MAX : LOAD_US_MAX) * scratch_slowness();
    uint64_t seed = choices_next(choices);
    int64_t point = (int64_t)choices_below(choices, POINT_MAX);
    shared->points_left = at_point ? point : -1;
    pid_t child = make_child(shared, store, seed, verify);
    if (child < 0)
        return false;

    int status = 0;
    bool loading = !in_recovery && wait_for_load(shared, child, &status);
    if (loading || in_recovery) {
        end_child(child, delay_us, at_point, &status);
    }
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        return oracle_fail(&shared->oracle, "the child ended by itself: status 0x%x", status);
    if (shared->oracle.failure[0] != '\0')
        return false;

    struct oracle_flight flight = oracle_in_flight(&shared->oracle);
    flight.commands += errands_in_flight(&shared->errands);
    totals->kills++;
    totals->in_recovery += in_recovery;
    totals->at_points += at_point && shared->points_left < 0;
    totals->verified += verify;
    totals->workflows_in_flight += flight.workflows;
    totals->unacked_kept += shared->oracle.unacked_kept;
    totals->unacked_lost += shared->oracle.unacked_lost;
    totals->going_back += shared->oracle.going_back;
    totals->gone_back += shared->oracle.gone_back;
    totals->claimed += shared->errands.claimed;
    totals->unacked_kept += shared->errands.unacked_kept;
    totals->unacked_lost += shared->errands.unacked_lost;
    if (loading) {
        totals->under_load++;
        totals->commands_in_flight += flight.commands;
        totals->without_commands += flight.commands == 0;
    }
    return true;
}

/* The next command of the first loan that has one left. */
static bool take_command(struct oracle *oracle, struct wf_engine *engine) {
    uint32_t loan = 0;
    while (loan < ORACLE_LOANS && oracle->loans[loan].issued == oracle_script_length(oracle, loan))
        loan++;
    if (loan == ORACLE_LOANS)
        return true;
    struct wf_error err;
    struct wf_result result;
    struct oracle_command command;
    unsigned index = oracle_issue(oracle, loan, 0, 1);
    oracle_command(oracle, loan, index, &command);
    if (wf_execute(engine, &command.command, &result, &err) != WF_OK)
        return oracle_fail(oracle, "a new command after recovery: %s", err.text);
    oracle_ack(oracle, loan, index, result.lsn);
    return true;
}

/* The last word on a store: a child that checks it, closes it, opens it again and takes new
 * commands. */
static int live_last(struct shared *shared, const struct store *store) {
    struct choices choices = {.state = shared->oracle.seed};
    struct wf_error err;
    struct wf_engine *engine;
    for (unsigned i = 0; i < 2; i++) {
        if (wf_open(store->dir, &store->options, &engine, &err) != WF_OK ||
            !check_store(shared, engine, &choices, true)) {
            oracle_fail(&shared->oracle, "open: %s", err.text);
            return 1;
        }
        if (!take_command(&shared->oracle, engine))
            return 1;
        if (wf_close(engine, &err) != WF_OK) {
            oracle_fail(&shared->oracle, "close: %s", err.text);
            return 1;
        }
    }
    return 0;
}

static bool finish_store(struct shared *shared, const struct store *store, struct totals *totals) {
    int status = 0;
    shared->points_left = -1;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(live_last(shared, store));
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
        return oracle_fail(&shared->oracle, "the last check ended with status 0x%x", status);
    for (uint32_t loan = 0; loan < ORACLE_LOANS; loan++)
        totals->acked += shared->oracle.loans[loan].acked;
    for (unsigned i = 0; i < ERRANDS; i++) {
        totals->errands_done += shared->errands.all[i].lsn[ERRAND_PAY] != 0;
        totals->errands_back += shared->errands.all[i].lsn[ERRAND_UNDONE] != 0;
    }
    totals->stores++;
    return true;
}

static bool run(struct shared *shared, const char *root, uint64_t kills, struct choices *choices,
                struct totals *totals) {
    while (totals->kills < kills) {
        struct store store = {.openings = 0};
        char name[32];
        snprintf(name, sizeof name, "store-%" PRIu64, totals->stores);
        scratch_join(store.dir, root, name);
        oracle_init(&shared->oracle, choices_next(choices));
        errands_init(&shared->errands);
        choose_options(choices, shared, &store.options);
        for (unsigned i = 0; i < KILLS_PER_STORE && totals->kills < kills; i++) {
            if (!kill_once(shared, &store, choices, totals)) {
                printf("store %s, segments of %" PRIu64 ", snapshots after %" PRIu64
                       ", %s, memory %" PRIu64 "\n",
                       store.dir, store.options.segment_size, store.options.snapshot_log_bytes,
                       store.options.background_snapshots ? "in the background" : "by the command",
                       store.options.memory_max);
                return false;
            }
        }
        if (!finish_store(shared, &store, totals))
            return false;
        scratch_remove(store.dir);
    }
    return true;
}

static bool judge(struct shared *shared, const struct totals *totals) {
    printf("%" PRIu64 " kills (%" PRIu64 " under load, %" PRIu64 " in recovery, %" PRIu64
           " at named instants) of %" PRIu64 " stores\n",
           totals->kills, totals->under_load, totals->in_recovery, totals->at_points,
           totals->stores);
    printf("in flight at a kill: %.1f commands, %.1f workflows; %" PRIu64
           " kills under load met no command\n",
           (double)totals->commands_in_flight / (double)totals->under_load,
           (double)totals->workflows_in_flight / (double)totals->kills, totals->without_commands);
    printf("commands there at the end: %" PRIu64 "; not acknowledged: %" PRIu64 " kept, %" PRIu64
           " lost; %" PRIu64 " replays from the first record agree\n",
           totals->acked, totals->unacked_kept, totals->unacked_lost, totals->verified);
    printf("found on their way back: %" PRIu64 ", gone back: %" PRIu64 "\n", totals->going_back,
           totals->gone_back);
    printf("tasks found claimed: %" PRIu64 "; errands: %" PRIu64 " done, %" PRIu64 " compensated\n",
           totals->claimed, totals->errands_done, totals->errands_back);
    if (totals->claimed == 0 || totals->errands_done == 0 || totals->errands_back == 0)
        return oracle_fail(&shared->oracle, "no task was under way at any kill, or none was done");
    if (totals->going_back == 0 || totals->gone_back == 0)
        return oracle_fail(&shared->oracle, "no loan was on its way back at any kill");
    if (totals->workflows_in_flight == 0 || totals->commands_in_flight == 0)
        return oracle_fail(&shared->oracle, "nothing was in flight at any kill");
    if (totals->without_commands * 2 > totals->under_load)
        return oracle_fail(&shared->oracle, "no command was in flight at most kills");
    return true;
}

int main(void) {
    uint64_t kills = scratch_setting("CRASH_KILLS",
                                     (scratch_is_long() ? KILLS_LONG : KILLS) / scratch_slowness());
    uint64_t seed = scratch_setting("CRASH_SEED", scratch_now_us() ^ (uint64_t)getpid() << 32);
    struct choices choices = {.state = seed};
    struct totals totals = {0};
    char root[PATH_MAX];
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    printf("seed %" PRIu64 " (CRASH_SEED repeats it)\n", seed);
    scratch_make(root, NULL, "wf-crash");
    bool good = run(shared, root, kills, &choices, &totals) && judge(shared, &totals);
    if (!good)
        printf("FAILED after %" PRIu64 " kills: %s\nseed %" PRIu64 "; the store is left in %s\n",
               totals.kills, shared->oracle.failure, seed, root);
    else
        scratch_remove(root);
    munmap(shared, sizeof *shared);
    return good ? 0 : 1;
}
