/* A small real log, truncated at every byte and with every bit flipped, opened for reading and for
 * writing, with its snapshot and without: the store opens on a correct prefix that is not shorter
 * than the durable mark that can still be read, or it is refused with file and offset. Never a
 * wrong state, never a crash.
 *
 * DAMAGE_CASES cases are drawn (30,000); DAMAGE_FULL=1, or make test-long, runs all. DAMAGE_SEED
 * repeats a draw, DAMAGE_CASE=N runs one case alone. */
#include "tests/crash/damage_subject.h"
#include "tests/lib/keep_memory.h"
#include "workflows/loan/loan_sample.h"

#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CASES = 30000,
    WORKERS = 2,
    FAILURES_SHOWN = 12, /* DAMAGE_SHOWN */
    CASE_SECONDS_MAX = 30,
};

struct shared {
    _Atomic uint64_t running[WORKERS]; /* the case at hand, + 1; 0: none */
    _Atomic uint64_t next[WORKERS];
    _Atomic uint64_t whole, prefixes, refused, failures;
    uint64_t shown; /* failures that are described */
};

/* --- what must be true of a damaged store --- */

struct verdict {
    char text[1400]; /* "" where all is as it must be */
};

static void judge_refusal(const struct subject *subject, const struct damage_case *damage,
                          const struct wf_error *err, struct verdict *verdict) {
    const char *name = subject_segment_name(subject, damage);
    if (err->status != WF_DAMAGE)
        snprintf(verdict->text, sizeof verdict->text, "refused as %s: %s",
                 wf_status_code(err->status), err->text);
    else if (strstr(err->text, name) == NULL || strstr(err->text, "offset") == NULL)
        snprintf(verdict->text, sizeof verdict->text, "refused without file and offset: %s",
                 err->text);
}

static void judge_open(const struct subject *subject, const struct damage_case *damage,
                       const struct wf_store_status *status, struct verdict *verdict) {
    uint64_t most;
    uint64_t least = subject_least_lsn(subject, damage, &most);
    uint64_t lsn = status->durable_lsn;
    if (damage->keep_snapshot && least < subject->snapshot_lsn)
        least = subject->snapshot_lsn;
    if (lsn < least || lsn > most)
        snprintf(verdict->text, sizeof verdict->text,
                 "opened at record %" PRIu64 ", must be in %" PRIu64 "..%" PRIu64, lsn, least,
                 most);
    else if (lsn > 1 && strcmp(status->state_hash, subject->hashes[lsn]) != 0)
        snprintf(verdict->text, sizeof verdict->text, "a WRONG STATE at record %" PRIu64, lsn);
}

/* The store that was opened takes a command, and has it after being opened again. */
static void judge_new_command(struct wf_engine *engine, const char *dir,
                              const struct wf_options *options, uint64_t lsn,
                              struct verdict *verdict) {
    struct wf_error err;
    struct loan_sample sample;
    struct wf_result result;
    struct wf_workflow *workflow;
    loan_sample_command(&sample, "N", 1, 0);
    enum wf_status status = wf_execute(engine, &sample.command, &result, &err);
    if (status == WF_NOT_FOUND && lsn <= 2) { /* the definition itself was cut off */
        wf_close(engine, NULL);
        return;
    }
    if (status != WF_OK || result.lsn != lsn + 1) {
        snprintf(verdict->text, sizeof verdict->text, "a new command after opening: %s",
                 status != WF_OK ? err.text : "has a wrong LSN");
        wf_close(engine, NULL);
        return;
    }
    wf_close(engine, NULL);
    if (wf_open(dir, options, &engine, &err) != WF_OK) {
        snprintf(verdict->text, sizeof verdict->text, "opened again: %s", err.text);
        return;
    }
    if (wf_workflow_get(engine, sample.command.id, &workflow, &err) != WF_OK)
        snprintf(verdict->text, sizeof verdict->text, "opened again: the new command is LOST: %s",
                 err.text);
    else
        wf_workflow_free(workflow);
    wf_close(engine, NULL);
}

/* Damage the image, or take the damage back. */
static void apply_damage(struct subject *subject, const struct damage_case *damage, size_t *size) {
    struct image_file *file = &subject->image.files[subject->segments[damage->segment]];
    if (damage->truncate) {
        size_t kept = file->size;
        file->size = *size;
        *size = kept;
    } else
        file->data[damage->position / 8] ^= (uint8_t)(1u << (damage->position % 8));
}

/* Open the damaged store and judge. */
static void open_case(const struct subject *subject, uint64_t number, const char *dir,
                      struct shared *shared, struct verdict *verdict) {
    const struct damage_case damage = subject_case(subject, number);
    const char *skip = damage.keep_snapshot ? NULL : "state";
    bool closer = number / 4 % 8 == 0;
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_store_status status;
    wf_options_init(&options);
    options.read_only = damage.read_only;
    options.segment_size = SUBJECT_SEGMENT_SIZE;
    options.snapshot_log_bytes = 0;
    options.snapshot_on_close = false;
    if (wf_open(dir, &options, &engine, &err) != WF_OK) {
        shared->refused++;
        judge_refusal(subject, &damage, &err, verdict);
    } else if (wf_status_get(engine, true, &status, &err) != WF_OK) {
        snprintf(verdict->text, sizeof verdict->text, "status: %s", err.text);
        wf_close(engine, NULL);
    } else {
        *(status.durable_lsn == subject->last_lsn ? &shared->whole : &shared->prefixes) += 1;
        judge_open(subject, &damage, &status, verdict);
        if (verdict->text[0] == '\0' && !damage.read_only && closer)
            judge_new_command(engine, dir, &options, status.durable_lsn, verdict);
        else
            wf_close(engine, NULL);
    }
    const char *changed =
        damage.read_only && closer ? image_difference(&subject->image, dir, skip) : NULL;
    if (verdict->text[0] == '\0' && changed != NULL)
        snprintf(verdict->text, sizeof verdict->text, "opened for reading, it CHANGED %s", changed);
}

static void run_case(struct subject *subject, uint64_t number, const char *dir,
                     struct shared *shared, struct verdict *verdict) {
    const struct damage_case damage = subject_case(subject, number);
    size_t size = (size_t)damage.position;
    verdict->text[0] = '\0';
    apply_damage(subject, &damage, &size);
    if (image_write(&subject->image, dir, damage.keep_snapshot ? NULL : "state"))
        open_case(subject, number, dir, shared, verdict);
    else
        snprintf(verdict->text, sizeof verdict->text, "the copy cannot be written");
    apply_damage(subject, &damage, &size);
}

static void describe(const struct subject *subject, uint64_t number, const char *text) {
    const struct damage_case damage = subject_case(subject, number);
    printf("case %" PRIu64 ": %s, %s %" PRIu64 "%s, snapshot %s, opened for %s:\n    %s\n", number,
           subject->image.files[subject->segments[damage.segment]].name,
           damage.truncate ? "cut to" : "bit", damage.position,
           damage.truncate ? " bytes" : " flipped", damage.keep_snapshot ? "kept" : "removed",
           damage.read_only ? "reading" : "writing", text);
    fflush(stdout);
}

/* --- all cases --- */

struct plan {
    struct subject *subject;
    struct shared *shared;
    const char *root;
    uint64_t *numbers; /* NULL: every number below `count` */
    uint64_t count;
};

static void work(const struct plan *plan, unsigned worker) {
    struct shared *shared = plan->shared;
    char name[16], dir[PATH_MAX];
    snprintf(name, sizeof name, "worker-%u", worker);
    scratch_join(dir, plan->root, name);
    for (uint64_t at; (at = shared->next[worker]) < plan->count; shared->next[worker] += WORKERS) {
        uint64_t number = plan->numbers != NULL ? plan->numbers[at] : at;
        struct verdict verdict;
        shared->running[worker] = number + 1;
        alarm(CASE_SECONDS_MAX);
        run_case(plan->subject, number, dir, shared, &verdict);
        if (verdict.text[0] != '\0' && shared->failures++ < shared->shown)
            describe(plan->subject, number, verdict.text);
    }
    shared->running[worker] = 0;
}

static pid_t make_worker(const struct plan *plan, unsigned worker) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        work(plan, worker);
        _exit(0);
    }
    return pid;
}

/* A worker died in the middle of a case: that case fails. */
static void note_death(const struct plan *plan, unsigned worker, int status) {
    char text[64];
    const char *how = !WIFSIGNALED(status)          ? "exits with"
                      : WTERMSIG(status) == SIGALRM ? "HANGS, signal"
                                                    : "CRASHES, signal";
    snprintf(text, sizeof text, "%s %d", how,
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (plan->shared->failures++ < plan->shared->shown)
        describe(plan->subject, plan->shared->running[worker] - 1, text);
    plan->shared->next[worker] += WORKERS;
}

/* Run all cases in workers; where one dies another goes on behind its case. */
static void run_plan(const struct plan *plan) {
    pid_t pids[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        plan->shared->next[i] = i;
        pids[i] = make_worker(plan, i);
    }
    int status;
    for (pid_t ended; (ended = wait(&status)) > 0;) {
        unsigned worker = 0;
        while (worker < WORKERS && pids[worker] != ended)
            worker++;
        if (worker == WORKERS || (status == 0 && plan->shared->running[worker] == 0))
            continue;
        note_death(plan, worker, status);
        pids[worker] = make_worker(plan, worker);
    }
}

static bool choose(struct plan *plan, uint64_t wanted, uint64_t seed) {
    struct choices choices = {.state = seed};
    uint64_t all = subject_case_count(plan->subject);
    if (wanted == 0 || wanted >= all) {
        plan->count = all;
        return true;
    }
    plan->count = wanted;
    plan->numbers = malloc(wanted * sizeof *plan->numbers);
    if (plan->numbers == NULL)
        return false;
    for (uint64_t i = 0; i < wanted; i++)
        plan->numbers[i] = choices_one_in(&choices, 2) ? subject_draw_edge(plan->subject, &choices)
                                                       : choices_below(&choices, all);
    return true;
}

int main(void) {
    static struct subject subject;
    bool full = scratch_is_long() || scratch_setting("DAMAGE_FULL", 0) != 0;
    uint64_t seed = scratch_setting("DAMAGE_SEED", scratch_now_us());
    uint64_t one = scratch_setting("DAMAGE_CASE", UINT64_MAX);
    char root[PATH_MAX];
    keep_memory();
    scratch_make(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "wf-damage");
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !subject_make(&subject, root))
        return 1;
    shared->shown = scratch_setting("DAMAGE_SHOWN", FAILURES_SHOWN);
    struct plan plan = {.subject = &subject, .shared = shared, .root = root};
    if (!choose(&plan, full ? 0 : scratch_setting("DAMAGE_CASES", CASES), seed))
        return 1;
    if (one != UINT64_MAX) {
        plan.count = 1;
        free(plan.numbers);
        plan.numbers = &one;
    }
    printf("%" PRIu64 " records in %zu segments, snapshot at %" PRIu64 "; %" PRIu64 " of %" PRIu64
           " cases, seed %" PRIu64 " (DAMAGE_SEED)\n",
           subject.last_lsn, subject.segment_count, subject.snapshot_lsn, plan.count,
           subject_case_count(&subject), seed);
    run_plan(&plan);
    printf("%" PRIu64 " opened whole, %" PRIu64 " on a prefix, %" PRIu64 " refused, %" PRIu64
           " wrong\n",
           shared->whole, shared->prefixes, shared->refused, shared->failures);
    bool good = shared->failures == 0;
    if (plan.numbers != &one)
        free(plan.numbers);
    image_free(&subject.image);
    scratch_remove(root);
    return good ? 0 : 1;
}
