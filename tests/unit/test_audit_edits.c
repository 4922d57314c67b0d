/* Random edits of a large trail, half of it archived: each is found by `audit verify`, which names
 * the first bad LSN and whom it concerns. AUDIT_EDITS=N sets how many, SEED=N which. */
#include "tests/lib/engine_fixture.h"

#include "store/archive_file.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    LOANS = 1500,
    RECORDS_OF_LOAN = 4,
    FIRST_LSN = 3, /* 1 is the store, 2 the definition */
    FILES_MAX = 64,
    EDITS = 500,
    EDITS_LONG = 10000,
    GZIP_TRAILER_SIZE = 8, /* CRC-32 and size: RFC 1952 */
};

/* Bytes that stand for records: a frame of a segment, a block of an archive, or what goes round
 * them. */
struct piece {
    size_t offset, size;
    uint64_t first_lsn, last_lsn;
    bool exact; /* damage is told by just these LSNs; else by some of the file's */
};

struct trail_file {
    char path[FIXTURE_PATH_MAX + 200];
    uint8_t *bytes, *edited;
    size_t size; /* without space that was set aside */
    uint64_t first_lsn, last_lsn;
    struct piece *pieces;
    size_t piece_count;
    bool archived, newest;
};

struct edits {
    struct engine_fixture f;
    struct wf_tree_head kept;
    struct trail_file files[FILES_MAX];
    size_t count;
    unsigned seed;
};

/* --- the trail --- */

static const char *subject_of(uint64_t lsn, char id[16]) {
    return lsn < FIRST_LSN ? NULL : fixture_id((int)((lsn - FIRST_LSN) / RECORDS_OF_LOAN), id);
}

static void enqueue(struct engine_fixture *f, const struct wf_command *command) {
    struct wf_pending pending;
    must(f, wf_enqueue(f->engine, command, &pending, &f->err));
}

static void fill(struct engine_fixture *f) {
    static const struct wf_field application[] = {
        {"personal_info", "Ada"}, {"ssn", "1"}, {"employment", "baker"}};
    static const struct wf_field bureau[] = {{"credit_score", "750"}, {"history", "good"}};
    for (int i = 0; i < LOANS; i++) {
        char id[16];
        fixture_id(i, id);
        enqueue(f, &(struct wf_command){
                       .kind = WF_WORKFLOW_START, .id = id, .type = "loan_application"});
        enqueue(f, &(struct wf_command){.kind = WF_WORKFLOW_SUBMIT,
                                        .id = id,
                                        .step = "applicant_submission",
                                        .fields = application,
                                        .field_count = 3});
        enqueue(f, &(struct wf_command){.kind = WF_WORKFLOW_SUBMIT,
                                        .id = id,
                                        .step = "credit_bureau_response",
                                        .fields = bureau,
                                        .field_count = 2});
        enqueue(f, &(struct wf_command){
                       .kind = WF_WORKFLOW_CANCEL, .id = id, .reason = "not any more"});
    }
    must(f, wf_sync(f->engine, &f->err));
}

static void add_piece(struct trail_file *file, struct piece piece) {
    file->pieces = realloc(file->pieces, (file->piece_count + 1) * sizeof *file->pieces);
    assert_non_null(file->pieces);
    file->pieces[file->piece_count++] = piece;
}

static struct trail_file *load_file(struct edits *edits, const char *folder, const char *name) {
    assert_true(edits->count < FILES_MAX);
    struct trail_file *file = &edits->files[edits->count++];
    (void)snprintf(file->path, sizeof file->path, "%s/%s/%s", edits->f.dir, folder, name);
    FILE *from = fopen(file->path, "rb");
    assert_non_null(from);
    assert_int_equal(fseek(from, 0, SEEK_END), 0);
    file->size = (size_t)ftell(from);
    rewind(from);
    file->bytes = malloc(2 * file->size);
    file->edited = malloc(2 * file->size);
    assert_int_equal(fread(file->bytes, 1, file->size, from), file->size);
    assert_int_equal(fclose(from), 0);
    return file;
}

static void load_segment(struct edits *edits, const struct wal_segment_info *info, bool newest) {
    struct trail_file *file = load_file(edits, "wal", info->name);
    struct wal_segment_header header;
    struct wal_frame frame;
    assert_int_equal(wal_segment_header_decode(file->bytes, file->size, &header), WAL_HEADER_GOOD);
    uint32_t seed = wal_frame_seed(header.store_id);
    size_t offset = WAL_SEGMENT_HEADER_SIZE;
    file->first_lsn = info->first_lsn;
    file->last_lsn = info->last_lsn;
    file->newest = newest;
    add_piece(file, (struct piece){.size = offset});
    while (offset + WAL_FRAME_SIZE_MIN <= file->size &&
           wal_frame_decode_header(file->bytes + offset, seed, &frame) == NULL) {
        add_piece(file, (struct piece){.offset = offset,
                                       .size = (size_t)frame.size,
                                       .first_lsn = frame.lsn,
                                       .last_lsn = frame.lsn,
                                       .exact = frame.kind == WAL_FRAME_RECORD});
        offset += (size_t)frame.size;
    }
    file->size = offset;
}

static void load_archive(struct edits *edits, const struct archive_entry *entry) {
    struct trail_file *file = load_file(edits, "archive", entry->name);
    struct archive_cursor cursor;
    struct archive_index index;
    struct engine_fixture *f = &edits->f;
    char dir[FIXTURE_PATH_MAX + 40];
    (void)snprintf(dir, sizeof dir, "%s/archive", f->dir);
    file->first_lsn = entry->first_lsn;
    file->last_lsn = entry->last_lsn;
    file->archived = true;
    must(f, archive_cursor_init(&cursor, io_posix(), 0, &f->err));
    must(f, archive_cursor_open(&cursor, dir, entry->name, &f->err));
    must(f, archive_cursor_index(&cursor, entry, &index, &f->err));
    add_piece(file, (struct piece){.size = (size_t)index.blocks[0].offset});
    for (size_t i = 0; i < index.count; i++)
        add_piece(file,
                  (struct piece){.offset = (size_t)index.blocks[i].offset,
                                 .size = (size_t)index.blocks[i].size,
                                 .first_lsn = index.blocks[i].first_lsn,
                                 .last_lsn = index.blocks[i].first_lsn + index.blocks[i].count - 1,
                                 .exact = index.blocks[i].count > 0});
    add_piece(file, (struct piece){.offset = (size_t)entry->index_offset,
                                   .size = (size_t)entry->index_size});
    archive_index_deinit(&index);
    archive_cursor_deinit(&cursor);
}

static void load_trail(struct edits *edits) {
    struct engine_fixture *f = &edits->f;
    struct archive_entry *entry = malloc(sizeof *entry);
    struct wal_segment_info info;
    for (size_t i = 0; archive_at(f->engine->archive, i, entry); i++)
        load_archive(edits, entry);
    size_t archived = edits->count;
    size_t live = wal_segment_count(f->engine->wal);
    for (size_t i = 0; i < live; i++) {
        assert_true(wal_segment_at(f->engine->wal, i, &info));
        load_segment(edits, &info, i + 1 == live);
    }
    assert_true(archived >= 3 && live >= 3);
    free(entry);
}

static int setup(void **state) {
    static struct edits edits;
    struct engine_fixture *f = &edits.f;
    struct wf_archive_options options;
    const char *seed = getenv("SEED");
    edits.seed = seed != NULL ? (unsigned)strtoul(seed, NULL, 10) : 20261130;
    fixture_init_disk(f);
    fill(f);
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.keep_segments = wal_segment_count(f->engine->wal) / 2;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    must(f, wf_audit_root(f->engine, 0, &edits.kept, &f->err));
    load_trail(&edits);
    fixture_close(f);
    *state = &edits;
    return 0;
}

static int teardown(void **state) {
    struct edits *edits = *state;
    for (size_t i = 0; i < edits->count; i++) {
        free(edits->files[i].bytes);
        free(edits->files[i].edited);
        free(edits->files[i].pieces);
    }
    fixture_deinit(&edits->f);
    return 0;
}

/* --- an edit --- */

struct edit {
    struct trail_file *file;
    const struct piece *piece; /* the first that is not what it was */
    bool moved;                /* whole pieces stand where others did */
    bool may_be_padding;       /* a bit that no record may depend on: only the file's hash tells */
    size_t size;               /* of the edited file */
    char what[120];
};

static uint64_t below(struct edits *edits, uint64_t end) {
    uint64_t high = (uint64_t)rand_r(&edits->seed) << 31;
    return (high | (uint64_t)rand_r(&edits->seed)) % end;
}

static const struct piece *piece_at(const struct trail_file *file, size_t offset) {
    for (size_t i = 0; i < file->piece_count; i++) {
        const struct piece *piece = &file->pieces[i];
        if (offset >= piece->offset && offset < piece->offset + piece->size)
            return piece;
    }
    return NULL;
}

static void flip(struct edits *edits, struct edit *edit) {
    size_t at = below(edits, edit->file->size);
    edit->file->edited[at] ^= (uint8_t)(1 << below(edits, 8));
    const struct piece *piece = piece_at(edit->file, at);
    edit->piece = piece;
    /* The last byte of a deflate stream is filled up with bits that mean nothing. */
    edit->may_be_padding = edit->file->archived && piece != NULL &&
                           at + 1 + GZIP_TRAILER_SIZE == piece->offset + piece->size;
    (void)snprintf(edit->what, sizeof edit->what, "a bit of byte %zu", at);
}

static void overwrite(struct edits *edits, struct edit *edit) {
    size_t count = 1 + below(edits, 16);
    size_t at = below(edits, edit->file->size - count);
    size_t first = SIZE_MAX;
    for (size_t i = at; i < at + count; i++) {
        edit->file->edited[i] = (uint8_t)below(edits, 256);
        if (first == SIZE_MAX && edit->file->edited[i] != edit->file->bytes[i])
            first = i;
    }
    if (first == SIZE_MAX)
        edit->file->edited[first = at] ^= 1;
    edit->piece = piece_at(edit->file, first);
    (void)snprintf(edit->what, sizeof edit->what, "%zu bytes from %zu on", count, at);
}

static void cut(struct edits *edits, struct edit *edit) {
    size_t at = below(edits, edit->file->size);
    edit->size = at;
    edit->piece = piece_at(edit->file, at);
    (void)snprintf(edit->what, sizeof edit->what, "cut at %zu", at);
}

/* Put `count` pieces, by index, one behind the other between what is before and behind. */
static void arrange(struct edit *edit, size_t before, const size_t *order, size_t count,
                    size_t behind) {
    const struct trail_file *file = edit->file;
    size_t at = file->pieces[before].offset;
    for (size_t i = 0; i < count; i++) {
        const struct piece *piece = &file->pieces[order[i]];
        memcpy(file->edited + at, file->bytes + piece->offset, piece->size);
        at += piece->size;
    }
    size_t from = behind < file->piece_count ? file->pieces[behind].offset : file->size;
    memcpy(file->edited + at, file->bytes + from, file->size - from);
    edit->size = at + file->size - from;
    edit->piece = &file->pieces[before];
    edit->moved = true;
}

/* A piece dropped, doubled, or changed with the next one; never the head. */
static void move(struct edits *edits, struct edit *edit) {
    size_t at = 1 + below(edits, edit->file->piece_count - 2);
    const size_t twice[] = {at, at};
    const size_t swapped[] = {at + 1, at};
    uint64_t kind = below(edits, 3);
    if (kind == 0) {
        arrange(edit, at, NULL, 0, at + 1);
    } else if (kind == 1) {
        arrange(edit, at, twice, 2, at + 1);
        edit->piece = &edit->file->pieces[at + 1];
    } else {
        arrange(edit, at, swapped, 2, at + 2);
    }
    (void)snprintf(edit->what, sizeof edit->what, "piece %zu %s", at,
                   kind == 0   ? "dropped"
                   : kind == 1 ? "doubled"
                               : "changed with the next one");
}

static struct edit make_edit(struct edits *edits) {
    struct edit edit = {.file = &edits->files[below(edits, edits->count)]};
    memcpy(edit.file->edited, edit.file->bytes, edit.file->size);
    edit.size = edit.file->size;
    uint64_t kind = below(edits, 10);
    if (kind < 5 || edit.file->piece_count < 4)
        flip(edits, &edit);
    else if (kind < 7)
        overwrite(edits, &edit);
    else if (kind < 8)
        cut(edits, &edit);
    else
        move(edits, &edit);
    return edit;
}

/* --- what must come of it --- */

static void write_file(const struct trail_file *file, const uint8_t *bytes, size_t size) {
    FILE *to = fopen(file->path, "wb");
    assert_non_null(to);
    assert_int_equal(fwrite(bytes, 1, size, to), size);
    assert_int_equal(fclose(to), 0);
}

/* Is one of those that have a record in the range named? */
static bool names_one(const char *text, uint64_t first_lsn, uint64_t last_lsn) {
    const char *names = strstr(text, "concerned: ");
    for (uint64_t lsn = first_lsn; names != NULL && lsn <= last_lsn; lsn++) {
        char id[16];
        if (subject_of(lsn, id) == NULL || strstr(names, id) != NULL)
            return true;
    }
    return false;
}

static void expect_found(struct edits *edits, const struct edit *edit, unsigned number) {
    struct engine_fixture *f = &edits->f;
    const struct trail_file *file = edit->file;
    const struct piece *piece = edit->piece;
    struct wf_log_report report;
    uint64_t first_bad = 0;
    enum wf_status status =
        wf_audit_verify(f->dir, &edits->kept, NULL, NULL, &report, NULL, &first_bad, &f->err);
    if (status != WF_DAMAGE)
        fail_msg("edit %u, %s of %s passed: %s", number, edit->what, file->path,
                 wf_status_code(status));
    bool exact = piece != NULL && piece->exact && !edit->may_be_padding &&
                 !(file->archived && edit->size != file->size);
    uint64_t first = exact ? piece->first_lsn : file->first_lsn;
    uint64_t last = exact ? piece->first_lsn : file->last_lsn + 1;
    if (first_bad < first || first_bad > last)
        fail_msg("edit %u, %s of %s: LSN %" PRIu64 " is named, not %" PRIu64 " to %" PRIu64 ": %s",
                 number, edit->what, file->path, first_bad, first, last, f->err.text);
    /* Of a record in another's place, whose it is may be told too. */
    uint64_t from = edit->moved ? first - 1 : first;
    uint64_t to = exact && edit->moved ? piece->last_lsn + 1 : exact ? piece->last_lsn : 0;
    bool told = !exact || from < FIRST_LSN || strstr(f->err.text, "the end was cut off") != NULL;
    if (!told && !names_one(f->err.text, from, to))
        fail_msg("edit %u, %s of %s, LSN %" PRIu64 ": nobody is named: %s", number, edit->what,
                 file->path, first, f->err.text);
}

static void test_audit_verify_names_every_random_edit(void **state) {
    struct edits *edits = *state;
    const char *given = getenv("AUDIT_EDITS");
    unsigned count = getenv("WF_TEST_LONG") != NULL ? EDITS_LONG : EDITS;
    if (given != NULL)
        count = (unsigned)strtoul(given, NULL, 10);
    struct wf_log_report report;
    must(&edits->f, wf_audit_verify(edits->f.dir, &edits->kept, NULL, NULL, &report, NULL, NULL,
                                    &edits->f.err));
    assert_int_equal(report.records, edits->kept.size);
    for (unsigned i = 0; i < count; i++) {
        struct edit edit = make_edit(edits);
        if (edit.size == edit.file->size &&
            memcmp(edit.file->edited, edit.file->bytes, edit.size) == 0)
            continue; /* two pieces of the same bytes changed places */
        write_file(edit.file, edit.file->edited, edit.size);
        expect_found(edits, &edit, i);
        write_file(edit.file, edit.file->bytes, edit.file->size);
    }
    must(&edits->f, wf_audit_verify(edits->f.dir, &edits->kept, NULL, NULL, &report, NULL, NULL,
                                    &edits->f.err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_audit_verify_names_every_random_edit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
