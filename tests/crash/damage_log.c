/* A small real log, truncated at every byte and with every bit flipped, opened for reading and for
 * writing, with its snapshot and without: the store opens on a correct prefix that is not shorter
 * than the durable mark that can still be read, or it is refused with file and offset. Never a
 * wrong state, never a crash. How to run it: damage_run.h. */
#include "tests/crash/damage_open.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CASES = 30000,
    CLOSER_CHANCE = 8, /* one case in so many is looked at more closely */
};

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

static void run_case(void *ctx, uint64_t number, const char *dir, struct damage_verdict *verdict) {
    struct subject *subject = ctx;
    const struct damage_case damage = subject_case(subject, number);
    struct damage_opening opening = {
        .subject = subject,
        .dir = dir,
        .read_only = damage.read_only,
        .keep_snapshot = damage.keep_snapshot,
        .closer = number / 4 % CLOSER_CHANCE == 0,
        .may_refuse = true,
        .file = subject_segment_name(subject, &damage),
    };
    opening.least = subject_least_lsn(subject, &damage, &opening.most);
    size_t size = (size_t)damage.position;
    apply_damage(subject, &damage, &size);
    if (image_write(&subject->image, dir, damage.keep_snapshot ? NULL : "state"))
        damage_open(&opening, verdict);
    else
        snprintf(verdict->text, sizeof verdict->text, "the copy cannot be written");
    apply_damage(subject, &damage, &size);
}

static void describe(void *ctx, uint64_t number, char text[DAMAGE_TEXT_MAX]) {
    const struct subject *subject = ctx;
    const struct damage_case damage = subject_case(subject, number);
    snprintf(text, DAMAGE_TEXT_MAX, "%s, %s %" PRIu64 "%s, snapshot %s, opened for %s",
             subject->image.files[subject->segments[damage.segment]].name,
             damage.truncate ? "cut to" : "bit", damage.position,
             damage.truncate ? " bytes" : " flipped", damage.keep_snapshot ? "kept" : "removed",
             damage.read_only ? "reading" : "writing");
}

static uint64_t draw(void *ctx, struct choices *choices) {
    const struct subject *subject = ctx;
    return choices_one_in(choices, 2) ? subject_draw_edge(subject, choices)
                                      : choices_below(choices, subject_case_count(subject));
}

int main(void) {
    static struct subject subject;
    char root[PATH_MAX];
    scratch_make(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "wf-damage");
    if (!subject_make(&subject, root))
        return 1;
    printf("%" PRIu64 " records in %zu segments, snapshot at %" PRIu64 "\n", subject.last_lsn,
           subject.segment_count, subject.snapshot_lsn);
    const struct damage_suite suite = {
        .ctx = &subject,
        .count = subject_case_count(&subject),
        .wanted = CASES,
        .root = root,
        .run = run_case,
        .describe = describe,
        .draw = draw,
    };
    bool good = damage_run(&suite);
    image_free(&subject.image);
    scratch_remove(root);
    return good ? 0 : 1;
}
