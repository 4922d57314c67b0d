#include "tests/crash/damage_subject.h"
#include "workflows/loan/loan_sample.h"

#include <stdio.h>
#include <string.h>

enum {
    SECOND_SEGMENT_BYTES = 6 << 10, /* of log behind the rotation */
    SLACK = 64,                     /* bytes behind a segment's end that are flipped too */
    EDGE = 160, /* bytes at a segment's begin and end that are drawn more often */
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

/* Keep what is true after the last record. Names of segments go to `names`, by LSN. */
static bool note_record(struct wf_engine *engine, struct subject *subject,
                        char names[SUBJECT_RECORDS_MAX][64], size_t *segment_count) {
    struct wf_error err;
    struct wf_store_status status;
    struct segment_note note = {.count = 0};
    if (wf_status_get(engine, true, &status, &err) != WF_OK ||
        wf_log_segments(engine, note_segment, &note, &err) != WF_OK)
        return die("building the store", &err);
    uint64_t lsn = status.durable_lsn;
    if (lsn >= SUBJECT_RECORDS_MAX) {
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

static bool execute(struct wf_engine *engine, const struct wf_command *command,
                    struct subject *subject, char names[SUBJECT_RECORDS_MAX][64],
                    size_t *segment_count) {
    struct wf_error err;
    struct wf_result result;
    if (wf_execute(engine, command, &result, &err) != WF_OK)
        return die("building the store", &err);
    return note_record(engine, subject, names, segment_count);
}

static bool build(struct subject *subject, const char *dir, char names[SUBJECT_RECORDS_MAX][64]) {
    struct wf_options options;
    struct wf_engine *engine;
    struct wf_error err;
    struct loan_sample sample;
    wf_options_init(&options);
    options.create = true;
    options.test_clock = true; /* no time-out fires, however long the cases take */
    options.test_clock_ms = INT64_C(1767225600000);
    options.segment_size = SUBJECT_SEGMENT_SIZE;
    options.snapshot_log_bytes = 0;
    options.snapshot_on_close = false;
    if (wf_open(dir, &options, &engine, &err) != WF_OK)
        return die("building the store", &err);
    const struct wf_command define = {
        .kind = WF_DEFINITION_ADD,
        .text = workflows_loan_loan_application_yaml,
    };
    size_t segment_count = 0;
    /* The record of the store's making is there already. */
    bool good = note_record(engine, subject, names, &segment_count) &&
                execute(engine, &define, subject, names, &segment_count);
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
static bool find_segments(struct subject *subject, char names[SUBJECT_RECORDS_MAX][64]) {
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

bool subject_make(struct subject *subject, const char *root) {
    static char names[SUBJECT_RECORDS_MAX][64];
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

uint64_t subject_case_count(const struct subject *subject) {
    uint64_t count = 0;
    for (size_t i = 0; i < subject->segment_count; i++)
        count += truncations(subject, i) + flips(subject, i);
    return count * 4;
}

struct damage_case subject_case(const struct subject *subject, uint64_t number) {
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

uint64_t subject_draw_edge(const struct subject *subject, struct choices *choices) {
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

uint64_t subject_least_lsn(const struct subject *subject, const struct damage_case *damage,
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

const char *subject_segment_name(const struct subject *subject, const struct damage_case *damage) {
    const char *name = subject->image.files[subject->segments[damage->segment]].name;
    const char *slash = strrchr(name, '/');
    return slash != NULL ? slash + 1 : name;
}
