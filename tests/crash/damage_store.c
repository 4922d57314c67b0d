/* Every file of a small real store, and every record of its log, damaged in turn:
 *
 *   flips, cuts   every bit and every length of every file but the log's segments (damage_log.c has
 *                 those): the snapshot, LMDB's table of readers, the lock file
 *   sectors       every sector of every file, segments too, zeroed or full of rubbish
 *   records       every record of the log doubled, dropped, swapped with the next one, moved to the
 *                 end, and replaced by the one that another store of the same history has there
 *   files         every file missing, and replaced by that of another store
 *
 * The store opens on its right state, or is refused: what is wrong with the log by file and offset.
 * What is wrong with another file never costs a record. How to run it: damage_run.h. */
#include "tests/crash/damage_open.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CASES = 8000,
    SECTOR = 512,
    WAYS = 4,          /* each damage: snapshot kept or removed, for reading or for writing */
    CLOSER_CHANCE = 8, /* one case in so many is looked at more closely */
};

enum kind {
    FLIP,
    CUT,
    ZERO,
    RUBBISH,
    DOUBLED,
    DROPPED,
    SWAPPED,
    MOVED,
    FOREIGN,
    GONE,
    REPLACED,
    KINDS
};

static const char *const kind_names[KINDS] = {
    [FLIP] = "bit flipped",
    [CUT] = "cut to byte",
    [ZERO] = "sector zeroed:",
    [RUBBISH] = "sector full of rubbish:",
    [DOUBLED] = "record doubled:",
    [DROPPED] = "record dropped:",
    [SWAPPED] = "record swapped with the next:",
    [MOVED] = "record moved to the end:",
    [FOREIGN] = "record of another store:",
    [GONE] = "file gone",
    [REPLACED] = "file of another store",
};

struct stores {
    struct subject own, other;
    uint64_t counts[KINDS][IMAGE_FILES_MAX]; /* of damages, by file; kinds of records: file 0 */
    uint64_t damages;
};

struct damage {
    enum kind kind;
    size_t file;       /* index in the image */
    uint64_t position; /* bit, length, sector or LSN */
    bool read_only, keep_snapshot;
};

static bool is_segment(const struct subject *subject, size_t file) {
    for (size_t i = 0; i < subject->segment_count; i++)
        if (subject->segments[i] == file)
            return true;
    return false;
}

static bool is_of_snapshot(const struct subject *subject, size_t file) {
    return strncmp(subject->image.files[file].name, "state", 5) == 0;
}

/* --- numbers --- */

static uint64_t count_of(const struct stores *stores, enum kind kind, size_t index) {
    const struct image_file *file = &stores->own.image.files[index];
    bool log = is_segment(&stores->own, index);
    switch (kind) {
    case FLIP:
        return log || file->data == NULL ? 0 : file->size * 8;
    case CUT:
        return log || file->data == NULL ? 0 : file->size;
    case ZERO:
    case RUBBISH:
        return file->data == NULL ? 0 : (file->size + SECTOR - 1) / SECTOR;
    case GONE:
    case REPLACED:
        return file->data != NULL;
    case DOUBLED:
    case DROPPED:
    case SWAPPED:
    case MOVED:
    case FOREIGN:
        return index == 0 ? stores->own.last_lsn - 1 : 0; /* all but the last one */
    case KINDS:
        break;
    }
    return 0;
}

static void count_damages(struct stores *stores) {
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (size_t file = 0; file < stores->own.image.count; file++) {
            stores->counts[kind][file] = count_of(stores, (enum kind)kind, file);
            stores->damages += stores->counts[kind][file];
        }
}

static struct damage damage_at(const struct stores *stores, uint64_t number) {
    struct damage damage = {.read_only = number & 1, .keep_snapshot = number >> 1 & 1};
    uint64_t at = number / WAYS;
    for (unsigned kind = 0; kind < KINDS; kind++)
        for (size_t file = 0; file < stores->own.image.count; file++) {
            if (at < stores->counts[kind][file]) {
                damage.kind = (enum kind)kind;
                damage.file = file;
                damage.position = at;
                if (kind >= DOUBLED && kind <= FOREIGN) {
                    damage.position = at + 1; /* an LSN */
                    damage.file = stores->own.files[at + 1];
                }
                /* What is removed cannot be damaged. */
                damage.keep_snapshot |= is_of_snapshot(&stores->own, damage.file);
                return damage;
            }
            at -= stores->counts[kind][file];
        }
    return damage;
}

/* Kinds with few cases as often as those with many. */
static uint64_t draw(void *ctx, struct choices *choices) {
    const struct stores *stores = ctx;
    unsigned wanted = (unsigned)choices_below(choices, KINDS);
    uint64_t before = 0;
    uint64_t count = 0;
    for (unsigned kind = 0; kind <= wanted; kind++)
        for (size_t file = 0; file < stores->own.image.count; file++)
            *(kind < wanted ? &before : &count) += stores->counts[kind][file];
    return (before + choices_below(choices, count)) * WAYS + choices_below(choices, WAYS);
}

/* --- damages --- */

/* Where a record stands in its segment. */
static size_t begin_of(const struct subject *subject, uint64_t lsn) {
    bool first = lsn == 1 || subject->files[lsn - 1] != subject->files[lsn];
    return first ? WAL_SEGMENT_HEADER_SIZE : subject->ends[lsn - 1];
}

static uint64_t last_of_segment(const struct subject *subject, uint64_t lsn) {
    while (lsn < subject->last_lsn && subject->files[lsn + 1] == subject->files[lsn])
        lsn++;
    return lsn;
}

/* Bytes being put together, never beyond the size of the file that they replace. */
struct patch {
    uint8_t *data;
    size_t size, capacity;
};

static void put(struct patch *patch, const uint8_t *data, size_t size) {
    size_t room = patch->capacity - patch->size;
    size = size < room ? size : room;
    memcpy(patch->data + patch->size, data, size);
    patch->size += size;
}

static void put_record(struct patch *patch, const struct subject *subject, uint64_t lsn) {
    size_t begin = begin_of(subject, lsn);
    put(patch, subject->image.files[subject->files[lsn]].data + begin, subject->ends[lsn] - begin);
}

static void put_records(struct patch *patch, const struct subject *subject, uint64_t first,
                        uint64_t last) {
    for (uint64_t lsn = first; lsn <= last; lsn++)
        put_record(patch, subject, lsn);
}

/* The records from the damaged one to the segment's last, in another order or number. */
static void put_damaged(struct patch *patch, const struct stores *stores,
                        const struct damage *damage, uint64_t last) {
    const struct subject *own = &stores->own;
    uint64_t lsn = damage->position;
    switch (damage->kind) {
    case DOUBLED:
        put_record(patch, own, lsn);
        put_records(patch, own, lsn, last);
        break;
    case DROPPED:
        put_records(patch, own, lsn + 1, last);
        break;
    case SWAPPED: /* the last of a segment with the one before it */
        if (lsn < last)
            put_record(patch, own, lsn + 1);
        put_record(patch, own, lsn);
        put_records(patch, own, lsn + 2, last);
        break;
    case MOVED:
        put_records(patch, own, lsn + 1, last);
        put_record(patch, own, lsn);
        break;
    case FOREIGN:
        put_record(patch, &stores->other, lsn);
        put_records(patch, own, lsn + 1, last);
        break;
    case FLIP:
    case CUT:
    case ZERO:
    case RUBBISH:
    case GONE:
    case REPLACED:
    case KINDS:
        break;
    }
}

static void damage_records(struct patch *patch, const struct stores *stores,
                           const struct damage *damage) {
    const struct subject *own = &stores->own;
    const struct image_file *file = &own->image.files[damage->file];
    uint64_t last = last_of_segment(own, damage->position);
    put(patch, file->data, begin_of(own, damage->position));
    put_damaged(patch, stores, damage, last);
    /* The seal, and the space behind it. */
    put(patch, file->data + own->ends[last], file->size - own->ends[last]);
}

static void damage_bytes(struct patch *patch, const struct damage *damage) {
    size_t begin = (size_t)damage->position * SECTOR;
    size_t end = begin + SECTOR < patch->size ? begin + SECTOR : patch->size;
    struct choices choices = {.state = damage->position};
    for (size_t i = begin; (damage->kind == ZERO || damage->kind == RUBBISH) && i < end; i++)
        patch->data[i] = damage->kind == ZERO ? 0 : (uint8_t)choices_next(&choices);
    if (damage->kind == FLIP)
        patch->data[damage->position / 8] ^= (uint8_t)(1u << damage->position % 8);
    if (damage->kind == CUT)
        patch->size = (size_t)damage->position;
}

static const struct image_file *namesake(const struct image *image, const char *name) {
    for (size_t i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    abort(); /* both stores were made alike */
}

/* The file as the damage leaves it. */
static struct image_file damaged_file(const struct stores *stores, const struct damage *damage) {
    struct image_file file = stores->own.image.files[damage->file];
    const struct image_file *foreign = namesake(&stores->other.image, file.name);
    bool replaced = damage->kind == REPLACED;
    struct patch patch = {.capacity = replaced ? foreign->size : file.size};
    patch.data = malloc(patch.capacity + 1);
    if (patch.data == NULL)
        abort();
    if (damage->kind >= DOUBLED && damage->kind <= FOREIGN) {
        damage_records(&patch, stores, damage);
    } else {
        put(&patch, replaced ? foreign->data : file.data, patch.capacity);
        damage_bytes(&patch, damage);
    }
    file.data = patch.data;
    file.size = patch.size;
    return file;
}

/* --- what must come of it --- */

/* Is the file as it was, as far as anybody reads it? */
static bool is_unharmed(const struct stores *stores, const struct damage *damage,
                        const struct image_file *file) {
    const struct image_file *before = &stores->own.image.files[damage->file];
    size_t used = before->size;
    for (size_t i = 0; i < stores->own.segment_count; i++)
        if (stores->own.segments[i] == damage->file && i + 1 == stores->own.segment_count)
            used = stores->own.segment_bytes[i];
    return file->size >= used && memcmp(file->data, before->data, used) == 0;
}

/* The first record that is not there whole any more; one past the last where all are. */
static uint64_t first_harmed(const struct stores *stores, const struct damage *damage,
                             const struct image_file *file) {
    const struct subject *own = &stores->own;
    const uint8_t *before = own->image.files[damage->file].data;
    for (uint64_t lsn = 1; lsn <= own->last_lsn; lsn++)
        if (own->files[lsn] == damage->file && (file->data == NULL || file->size < own->ends[lsn] ||
                                                memcmp(file->data, before, own->ends[lsn]) != 0))
            return lsn;
    return own->last_lsn + 1;
}

/* What damage to a segment may come to. The mark of a record is the LSN before it, and nothing
 * vouches for the last one. */
static void expect_of_log(const struct stores *stores, const struct damage *damage,
                          const struct image_file *file, struct damage_opening *opening) {
    const struct subject *own = &stores->own;
    bool newest = own->segments[own->segment_count - 1] == damage->file;
    const char *slash = strrchr(file->name, '/');
    opening->may_refuse = damage->kind == GONE || !is_unharmed(stores, damage, file);
    opening->file = slash == NULL ? file->name : slash + 1;
    uint64_t harmed = first_harmed(stores, damage, file);
    if (newest && harmed <= own->last_lsn)
        opening->least = harmed < 3 ? 1 : harmed - 1;
    if (damage->kind == GONE || damage->kind == REPLACED)
        opening->file = NULL; /* no offset: there is no such file, or all of it is wrong */
    if (damage->kind == GONE && newest) /* nothing but the snapshot knows that there was one */
        opening->least = last_of_segment(own, 1);
}

static struct damage_opening expect(const struct stores *stores, const struct damage *damage,
                                    const struct image_file *file, const char *dir) {
    struct damage_opening opening = {
        .subject = &stores->own,
        .dir = dir,
        .read_only = damage->read_only,
        .keep_snapshot = damage->keep_snapshot,
        .least = stores->own.last_lsn,
        .most = stores->own.last_lsn,
    };
    if (is_segment(&stores->own, damage->file))
        expect_of_log(stores, damage, file, &opening);
    /* Another store's snapshot says so. */
    if (damage->kind == REPLACED && is_of_snapshot(&stores->own, damage->file))
        opening.may_refuse = true;
    return opening;
}

static void run_case(void *ctx, uint64_t number, const char *dir, struct damage_verdict *verdict) {
    struct stores *stores = ctx;
    const struct damage damage = damage_at(stores, number);
    struct image_file *place = &stores->own.image.files[damage.file];
    struct image_file before = *place;
    struct image_file file = damaged_file(stores, &damage);
    struct damage_opening opening = expect(stores, &damage, &file, dir);
    char path[PATH_MAX];
    opening.closer = number / WAYS % CLOSER_CHANCE == 0;
    *place = file;
    bool written = image_write(&stores->own.image, dir, damage.keep_snapshot ? NULL : "state");
    if (damage.kind == GONE)
        written = written && unlink(scratch_join(path, dir, file.name)) == 0;
    if (damage.kind == GONE && damage.read_only)
        opening.closer = false; /* the image has it, the folder has not */
    if (written)
        damage_open(&opening, verdict);
    else
        snprintf(verdict->text, sizeof verdict->text, "the copy cannot be written");
    *place = before;
    free(file.data);
}

static void describe(void *ctx, uint64_t number, char text[DAMAGE_TEXT_MAX]) {
    const struct stores *stores = ctx;
    const struct damage damage = damage_at(stores, number);
    snprintf(text, DAMAGE_TEXT_MAX, "%s, %s %" PRIu64 ", snapshot %s, opened for %s",
             stores->own.image.files[damage.file].name, kind_names[damage.kind], damage.position,
             damage.keep_snapshot ? "kept" : "removed", damage.read_only ? "reading" : "writing");
}

int main(void) {
    static struct stores stores;
    char root[PATH_MAX];
    scratch_make(root, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL, "wf-damage");
    if (!subject_make(&stores.own, root) || !subject_make(&stores.other, root))
        return 1;
    count_damages(&stores);
    printf("%zu files, %" PRIu64 " records\n", stores.own.image.count, stores.own.last_lsn);
    const struct damage_suite suite = {
        .ctx = &stores,
        .count = stores.damages * WAYS,
        .wanted = CASES,
        .root = root,
        .run = run_case,
        .describe = describe,
        .draw = draw,
    };
    bool good = damage_run(&suite);
    image_free(&stores.own.image);
    image_free(&stores.other.image);
    scratch_remove(root);
    return good ? 0 : 1;
}
