/* A small real log, truncated at every byte and with every bit flipped, opened for reading and for
 * writing, with its snapshot and without: the store opens on a correct prefix that is not shorter
 * than the durable mark that can still be read, or it is refused with file and offset. Never a
 * wrong state, never a crash.
 *
 * DAMAGE_CASES cases are drawn (12,000); DAMAGE_FULL=1, or make test-long, runs all. DAMAGE_SEED
 * repeats a draw, DAMAGE_CASE=N runs one case alone. */
#include "tests/crash/image.h"
#include "tests/crash/scratch.h"
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
    CASES = 12000,
    RECORDS_MAX = 2000,
    SEGMENT_SIZE = 64 << 10,
    SECOND_SEGMENT_BYTES = 6 << 10, /* of log behind the rotation */
    SLACK = 64,                     /* bytes behind a segment's end that are flipped too */
    EDGE = 160,                     /* bytes at a file's begin and end that are drawn more often */
    WORKERS = 2,
    FAILURES_SHOWN = 12, /* DAMAGE_SHOWN */
    CASE_SECONDS_MAX = 30,
};

/* The store, and what was true of it at each LSN. */
struct subject {
    struct image image;
    char hashes[RECORDS_MAX][65];
    size_t ends[RECORDS_MAX];  /* of the record's frame, bytes from the start of its segment */
    size_t files[RECORDS_MAX]; /* index in image of the segment that holds it */
    uint64_t last_lsn, snapshot_lsn;
    size_t segments[8];      /* indices in image of the log's files, oldest first */
    size_t segment_bytes[8]; /* in use */
    size_t segment_count;
};

/* Case numbers count through: snapshot kept or removed, read-only or not, then every truncation and
 * flip of every segment. */
struct damage_case {
    bool keep_snapshot, read_only, truncate;
    size_t segment;
    uint64_t position; /* new length in bytes, or the bit */
};

struct shared {
    _Atomic uint64_t running[WORKERS]; /* the case at hand, + 1; 0: none */
    _Atomic uint64_t next[WORKERS];
    _Atomic uint64_t whole, prefixes, refused, failures;
    uint64_t shown; /* failures that are described */
};

/* --- the store --- */

struct segment_note {
    char name[64];
    uint64_t size;
    size_t count;
};

static bool note_segment(void *ctx, const struct wf_segment *segment) {
    struct segment_note *note = ctx;
    snprintf(note->name, sizeof note->name, "%s", segment->name);
    note->size = segment->size;
    note->count++;
    return true;
}

static bool die(const char *what, const struct wf_error *err) {
    fprintf(stderr, "%s: %s\n", what, err->text);
    return false;
}

/* Execute, and keep what is true after it. Names of segments go to `names`, by LSN. */
static bool execute(struct wf_engine *engine, const struct wf_command *command,
                    struct subject *subject, char names[RECORDS_MAX][64], size_t *segment_count) {
    struct wf_error err;
    struct wf_result result;
    struct wf_store_status status;
    struct segment_note note = {.count = 0};
    if (wf_execute(engine, command, &result, &err) != WF_OK ||
        wf_status_get(engine, true, &status, &err) != WF_OK ||
        wf_log_segments(engine, note_segment, &note, &err) != WF_OK)
        return die("building the store", &err);
    uint64_t lsn = status.durable_lsn;
    if (lsn >= RECORDS_MAX) {
        fputs("building the store: too many records\n", stderr);
        return false;
    }
    memcpy(subject->hashes[lsn], status.state_hash, sizeof status.state_hash);
    memcpy(names[lsn], note.name, sizeof note.name);
    subject->ends[lsn] = (size_t)note.size;
    subject->last_lsn = lsn;
    *segment_count = note.count;
    return true;
}

static bool build(struct subject *subject, const char *dir, char names[RECORDS_MAX][64]) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    struct loan_sample sample;
    wf_options_init(&options);
    options.create = true;
    options.segment_size = SEGMENT_SIZE;
    options.snapshot_log_bytes = 0;
    options.snapshot_on_close = false;
    if (wf_open(dir, &options, &engine, &err) != WF_OK)
        return die("building the store", &err);
    const struct wf_command define = {
        .kind = WF_DEFINITION_ADD,
        .text = workflows_loan_loan_application_yaml,
    };
    size_t segment_count = 0;
    bool good = execute(engine, &define, subject, names, &segment_count);
    for (uint64_t at = 0;
         good && (segment_count < 2 || subject->ends[subject->last_lsn] < SECOND_SEGMENT_BYTES);
         at++) {
        loan_sample_command(&sample, "D", at / LOAN_COMMANDS, (unsigned)(at % LOAN_COMMANDS));
        good = execute(engine, &sample.command, subject, names, &segment_count);
        /* The snapshot stands for a little more than the first segment. */
        if (good && segment_count == 2 && subject->snapshot_lsn == 0) {
            good = wf_snapshot(engine, &err) == WF_OK || die("snapshot", &err);
            subject->snapshot_lsn = subject->last_lsn;
        }
    }
    return wf_close(engine, &err) == WF_OK && good;
}

/* Connect the names of segments with the files of the image. */
static bool find_segments(struct subject *subject, char names[RECORDS_MAX][64]) {
    for (uint64_t lsn = 1; lsn <= subject->last_lsn; lsn++) {
        if (names[lsn][0] == '\0')
            memcpy(names[lsn], names[lsn + 1], 64); /* the store's creation: not executed by us */
        size_t file = 0;
        while (file < subject->image.count &&
               strstr(subject->image.files[file].name, names[lsn]) == NULL)
            file++;
        if (file == subject->image.count)
            return false;
        subject->files[lsn] = file;
        if (subject->segment_count == 0 || subject->segments[subject->segment_count - 1] != file)
            subject->segments[subject->segment_count++] = file;
        subject->segment_bytes[subject->segment_count - 1] = subject->ends[lsn];
    }
    return true;
}

static bool make_subject(struct subject *subject, const char *root) {
    static char names[RECORDS_MAX][64];
    char dir[PATH_MAX];
    scratch_join(dir, root, "original");
    if (!build(subject, dir, names) || !image_read(&subject->image, dir))
        return false;
    if (!find_segments(subject, names)) {
        fputs("the log's segments are not where they should be\n", stderr);
        return false;
    }
    scratch_remove(dir);
    return true;
}

/* --- cases --- */

static uint64_t truncations(const struct subject *subject, size_t segment) {
    return subject->image.files[subject->segments[segment]].size + 1;
}

static uint64_t flips(const struct subject *subject, size_t segment) {
    size_t size = subject->image.files[subject->segments[segment]].size;
    size_t used = subject->segment_bytes[segment] + SLACK;
    return (uint64_t)(segment + 1 < subject->segment_count || used > size ? size : used) * 8;
}

static uint64_t cases_of_one_way(const struct subject *subject) {
    uint64_t count = 0;
    for (size_t i = 0; i < subject->segment_count; i++)
        count += truncations(subject, i) + flips(subject, i);
    return count;
}

static struct damage_case case_at(const struct subject *subject, uint64_t number) {
    struct damage_case damage = {.keep_snapshot = number & 1, .read_only = number >> 1 & 1};
    uint64_t at = number >> 2;
    for (size_t i = 0; i < subject->segment_count; i++) {
        damage.segment = i;
        damage.position = at;
        damage.truncate = at < truncations(subject, i);
        if (damage.truncate)
            return damage;
        at -= truncations(subject, i);
        damage.position = at;
        if (at < flips(subject, i))
            return damage;
        at -= flips(subject, i);
    }
    return damage;
}

/* The number of a case at the edge of a segment: its header, its last records. */
static uint64_t draw_edge(const struct subject *subject, struct choices *choices) {
    size_t segment = choices_below(choices, subject->segment_count);
    uint64_t at = 0;
    for (size_t i = 0; i < segment; i++)
        at += truncations(subject, i) + flips(subject, i);
    uint64_t byte = choices_below(choices, EDGE);
    if (choices_one_in(choices, 2)) {
        uint64_t end = subject->segment_bytes[segment] + SLACK / 2;
        byte = end > 3 * EDGE ? end - choices_below(choices, 3 * EDGE) : byte;
    }
    if (byte >= truncations(subject, segment))
        byte = 0;
    if (choices_one_in(choices, 4))
        at += byte;
    else {
        uint64_t bit = byte * 8 + choices_below(choices, 8);
        at += truncations(subject, segment) + bit % flips(subject, segment);
    }
    return at << 2 | choices_below(choices, 4);
}

/* --- what must be true of a damaged store --- */

/* The least LSN that opening must come to; `most`: the last one whose record is whole in what is
 * left. */
static uint64_t least_lsn(const struct subject *subject, const struct damage_case *damage,
                          uint64_t *most) {
    enum { PADDING = 7 }; /* zeros at a frame's end: nothing is lost with them */
    uint64_t last = subject->last_lsn;
    size_t file = subject->segments[damage->segment];
    *most = last;
    /* An older segment has its seal and a successor: whatever is missing from it shows. */
    if (damage->truncate && damage->segment + 1 < subject->segment_count)
        return last;
    if (damage->truncate) {
        uint64_t least = last;
        while (*most > 1 && subject->files[*most] == file &&
               subject->ends[*most] > damage->position + PADDING)
            --*most;
        while (least > 1 && subject->files[least] == file &&
               subject->ends[least] > damage->position)
            least--;
        return least == last ? last : least - 1; /* the last frame vouches for the one before it */
    }
    size_t byte = (size_t)(damage->position / 8);
    size_t begin = subject->files[last - 1] == file ? subject->ends[last - 1] : 0;
    bool in_last = subject->files[last] == file && byte >= begin && byte < subject->ends[last];
    return in_last ? last - 2 : last - 1;
}

struct verdict {
    char text[1400]; /* "" where all is as it must be */
};

static void judge_refusal(const struct subject *subject, const struct damage_case *damage,
                          const struct wf_error *err, struct verdict *verdict) {
    const char *name = strrchr(subject->image.files[subject->segments[damage->segment]].name, '/');
    name = name != NULL ? name + 1 : subject->image.files[subject->segments[damage->segment]].name;
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
    uint64_t least = least_lsn(subject, damage, &most);
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
    const struct damage_case damage = case_at(subject, number);
    const char *skip = damage.keep_snapshot ? NULL : "state";
    bool closer = number / 4 % 8 == 0;
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    struct wf_store_status status;
    wf_options_init(&options);
    options.read_only = damage.read_only;
    options.segment_size = SEGMENT_SIZE;
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
    const struct damage_case damage = case_at(subject, number);
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
    const struct damage_case damage = case_at(subject, number);
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
    uint64_t all = cases_of_one_way(plan->subject) * 4;
    if (wanted == 0 || wanted >= all) {
        plan->count = all;
        return true;
    }
    plan->count = wanted;
    plan->numbers = malloc(wanted * sizeof *plan->numbers);
    if (plan->numbers == NULL)
        return false;
    for (uint64_t i = 0; i < wanted; i++)
        plan->numbers[i] = choices_one_in(&choices, 2) ? draw_edge(plan->subject, &choices)
                                                       : choices_below(&choices, all);
    return true;
}

int main(void) {
    static struct subject subject;
    bool full = scratch_is_long() || scratch_setting("DAMAGE_FULL", 0) != 0;
    uint64_t seed = scratch_setting("DAMAGE_SEED", scratch_now_us());
    uint64_t one = scratch_setting("DAMAGE_CASE", UINT64_MAX);
    char root[PATH_MAX];
    scratch_make(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "wf-damage");
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || !make_subject(&subject, root))
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
           cases_of_one_way(&subject) * 4, seed);
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
