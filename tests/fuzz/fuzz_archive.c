/* Any bytes as archives: a block's columns, the members of an archive file, the manifest, the state
 * that stands for dropped records. Sizes and checksums around them hold, so that what is inside is
 * reached: an input says what it is, then the texts that are to be compressed. Reading never
 * crashes and never leaves its bounds; what it takes for good it gives back the same again. */
#include "store/archive_file.h"
#include "store/archive_state.h"
#include "tests/fuzz/frames.h"
#include "tests/fuzz/seeds.h"
#include "tests/lib/sim_io.h"

#include <stdlib.h>
#include <string.h>

enum {
    AS_BODY,
    AS_FILE,
    AS_MANIFEST,
    AS_STATE,
    AS_RAW, /* a file as it is */
    KINDS,
    TEXT_HEAD = 2, /* bytes before each text: its size */
    TEXTS_MAX = 16,
    SEED_SIZE = 64 * 1024,
    RECORDS_MAX = 100000,
};

static const uint8_t store_id[WAL_STORE_ID_SIZE] = "a store to fuzz";
static const char dir[] = "archive";
static const char file_name[] = "00000000000000000001.seg.gz";
static const struct archive_hints hints = {
    .nested = 6, .time = 1, .subject = 3, .previous_lsn = 4, .previous_offset = 5, .key = 8};

/* --- seeds: a real store's --- */

static void put_text(struct bytes_buffer *to, uint8_t field, const char *text) {
    bytes_write_u8(to, (uint8_t)(field << 3 | 2));
    bytes_write_string(to, text, strlen(text));
}

static void put_number(struct bytes_buffer *to, uint8_t field, uint64_t number) {
    bytes_write_u8(to, (uint8_t)(field << 3));
    bytes_write_varint(to, number);
}

/* Records as the engine writes them. */
static void make_payload(struct bytes_buffer *payload, unsigned number) {
    static const char *const subjects[] = {"L-1", "L-2", "N-1"};
    bytes_buffer_clear(payload);
    put_number(payload, 1, 1767225600000 + number * 17);
    put_number(payload, 2, 4);
    put_text(payload, 3, subjects[number % 3]);
    if (number >= 3) {
        put_number(payload, 4, number - 2);
        put_number(payload, 5, 8 * number);
    }
    bytes_write_u8(payload, 6 << 3 | 2);
    bytes_write_string(payload, "\x08\x04\x3a\x01x", 5);
    if (number % 2 == 0)
        put_text(payload, 8, subjects[number % 3]);
}

static void make_log(struct io *io, struct wal **wal) {
    struct wal_options options = {.segment_size = WAL_SEGMENT_SIZE_MIN};
    struct wal_recovery report;
    struct wal_ticket ticket;
    struct bytes_buffer payload;
    bytes_buffer_init(&payload);
    fuzz_require(wal_create(io, "wal", store_id, &options, NULL) == WF_OK, "a log is made");
    fuzz_require(wal_open(io, "wal", &options, NULL, 0, NULL, NULL, &report, wal, NULL) == WF_OK,
                 "and opened");
    for (unsigned i = 0; i < 40; i++) {
        make_payload(&payload, i);
        fuzz_require(wal_append(*wal, payload.data, payload.size, 0, &ticket, NULL) == WF_OK,
                     "appended to");
    }
    fuzz_require(wal_rotate(*wal, NULL) == WF_OK, "and rotated");
    bytes_buffer_deinit(&payload);
}

static void add_text(struct bytes_buffer *seed, const uint8_t *text, size_t size) {
    bytes_write_u8(seed, (uint8_t)size);
    bytes_write_u8(seed, (uint8_t)(size >> 8));
    bytes_write_run(seed, text, size);
}

/* The file's members, inflated; the second one's body on its own, too. */
static void seed_members(struct io *io, const char *name, uint8_t kind) {
    struct archive_cursor cursor;
    struct bytes_buffer seed;
    struct bytes_view body;
    uint64_t size = 0;
    bytes_buffer_init(&seed);
    bytes_write_u8(&seed, kind);
    fuzz_require(archive_cursor_init(&cursor, io, wal_frame_seed(store_id), NULL) == WF_OK &&
                     archive_cursor_open(&cursor, dir, name, NULL) == WF_OK,
                 "an archive opens");
    unsigned number = 0;
    for (uint64_t at = 0; archive_cursor_next(&cursor, at, &size, NULL) == WF_OK && size > 0;
         at += size, number++) {
        fuzz_require(archive_cursor_member(&cursor, at, size, &body, NULL) == WF_OK,
                     "and its members");
        add_text(&seed, cursor.text.data, cursor.text.size);
        if (kind == AS_FILE && number == 1) {
            struct bytes_buffer alone;
            bytes_buffer_init(&alone);
            bytes_write_u8(&alone, AS_BODY);
            bytes_write_run(&alone, body.data, body.size);
            fuzz_seed(alone.data, alone.size);
            bytes_buffer_deinit(&alone);
        }
    }
    fuzz_seed(seed.data, seed.size);
    archive_cursor_deinit(&cursor);
    bytes_buffer_deinit(&seed);
}

static void seed_file(struct io *io, const char *name, uint8_t kind, size_t without) {
    static uint8_t bytes[SEED_SIZE];
    char *path = io_path_join(dir, name);
    struct io_file *file = NULL;
    size_t got = 0;
    fuzz_require(path != NULL && io->ops->open(io, path, IO_READ, &file, NULL) == WF_OK &&
                     io_read_all(io, file, 0, bytes + 1, sizeof bytes - 1, &got, NULL) == WF_OK,
                 "a seed's file can be read");
    io->ops->close(io, file);
    free(path);
    bytes[0] = kind;
    fuzz_seed(bytes, 1 + got - without);
}

static void make_seeds(void) {
    struct sim_io *sim = sim_io_create(1);
    struct io *io = sim_io_of(sim);
    struct wal *wal = NULL;
    struct archive *archive = NULL;
    struct wal_segment_info info;
    struct archive_adding *adding = NULL;
    struct archive_state_writer *writer = NULL;
    char name[ARCHIVE_STATE_NAME_SIZE];
    const struct archive_options options = {.threads = 1, .hints = hints};
    make_log(io, &wal);
    fuzz_require(wal_segment_at(wal, 0, &info) &&
                     archive_open(io, dir, store_id, &archive, NULL) == WF_OK &&
                     archive_add_begin(archive, "wal", &info, &options, &adding, NULL) == WF_OK &&
                     archive_add_finish(archive, adding, NULL) == WF_OK,
                 "and archived");
    seed_members(io, file_name, AS_FILE);
    seed_file(io, file_name, AS_RAW, 0);
    fuzz_require(archive_state_create(archive, 40, &writer, NULL) == WF_OK, "a state is made");
    for (unsigned i = 0; i < 5; i++)
        fuzz_require(archive_state_add(writer, (struct bytes_view){store_id, i + 1},
                                       (struct bytes_view){store_id, 2 * i}, NULL) == WF_OK,
                     "of pairs");
    fuzz_require(archive_state_commit(writer, NULL) == WF_OK, "and written");
    archive_state_name(40, name);
    seed_members(io, name, AS_STATE);
    const struct archive_drop why = {.lsn = 41, .time_ms = 5, .actor = "ann"};
    seed_file(io, archive_manifest_name, AS_MANIFEST, 4);
    fuzz_require(archive_drop(archive, 41, &why, NULL) == WF_OK, "and dropped");
    seed_file(io, archive_manifest_name, AS_MANIFEST, 4);
    archive_close(archive);
    wal_close(wal, NULL);
    sim_io_destroy(sim);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

/* --- files --- */

static void put_file(struct io *io, const char *name, const void *data, size_t size) {
    char *path = io_path_join(dir, name);
    struct io_file *file = NULL;
    fuzz_require(path != NULL &&
                     io->ops->open(io, path, IO_WRITE | IO_CREATE, &file, NULL) == WF_OK &&
                     io_write_all(io, file, 0, data, size, NULL) == WF_OK,
                 "a file can be written");
    io->ops->close(io, file);
    free(path);
}

/* The texts as members, one behind the other. */
static void put_members(struct io *io, const char *name, const uint8_t *data, size_t size) {
    struct archive_deflater *deflater = archive_deflater_create();
    struct bytes_buffer members;
    bytes_buffer_init(&members);
    for (unsigned i = 0; i < TEXTS_MAX && size >= TEXT_HEAD; i++) {
        size_t text = data[0] + 256U * data[1];
        text = text < size - TEXT_HEAD ? text : size - TEXT_HEAD;
        fuzz_require(archive_member_write(deflater, (struct bytes_view){data + TEXT_HEAD, text}, 0,
                                          &members, NULL) == WF_OK,
                     "a text is compressed");
        data += TEXT_HEAD + text;
        size -= TEXT_HEAD + text;
    }
    put_file(io, name, members.data, members.size);
    bytes_buffer_deinit(&members);
    archive_deflater_destroy(deflater);
}

static void require_refusal(enum wf_status status) {
    fuzz_require(status == WF_OK || status == WF_DAMAGE || status == WF_NOT_FOUND ||
                     status == WF_REFUSED,
                 "it is read or refused");
}

/* --- the kinds --- */

static enum wf_status count_frame(void *ctx, const struct wal_frame *frame, uint64_t offset,
                                  struct wf_error *err) {
    (void)frame;
    (void)offset;
    (void)err;
    (*(uint64_t *)ctx)++;
    return WF_OK;
}

/* What decodes is whole frames, and comes to the same when it is encoded and decoded again. */
static void try_body(const uint8_t *data, size_t size) {
    struct archive_tables *tables = archive_tables_create();
    struct archive_tables *checker = archive_tables_create();
    struct bytes_buffer out;
    struct bytes_buffer body;
    struct bytes_buffer again;
    struct archive_frames frames;
    struct archive_frames second;
    uint32_t seed = wal_frame_seed(store_id);
    uint64_t count = 0;
    struct archive_encoded encoded;
    bytes_buffer_init(&out);
    bytes_buffer_init(&body);
    bytes_buffer_init(&again);
    enum wf_status status =
        archive_block_decode(tables, (struct bytes_view){data, size}, seed, &out, &frames, NULL);
    require_refusal(status);
    if (status == WF_OK && archive_frames_walk(&frames, seed, count_frame, &count, NULL) == WF_OK &&
        frames.count <= ARCHIVE_BLOCK_RECORDS) {
        fuzz_require(archive_block_encode(tables, checker, &hints, seed, &frames, &body, &encoded,
                                          NULL) == WF_OK,
                     "frames are encoded");
        fuzz_require(archive_block_decode(checker, (struct bytes_view){body.data, body.size}, seed,
                                          &again, &second, NULL) == WF_OK &&
                         second.bytes.size == frames.bytes.size &&
                         (frames.bytes.size == 0 ||
                          memcmp(second.bytes.data, frames.bytes.data, frames.bytes.size) == 0),
                     "and come back the same");
    }
    bytes_buffer_deinit(&again);
    bytes_buffer_deinit(&body);
    bytes_buffer_deinit(&out);
    archive_tables_destroy(checker);
    archive_tables_destroy(tables);
}

struct seen {
    uint64_t records, sum;
};

static enum wf_status see_record(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct seen *seen = ctx;
    for (size_t i = 0; i < record->payload.size; i++) /* each byte can be read */
        seen->sum += record->payload.data[i];
    return ++seen->records > RECORDS_MAX ? error_set(err, WF_REFUSED, "enough") : WF_OK;
}

static void try_file(struct io *io) {
    char *path = io_path_join(dir, file_name);
    struct seen seen = {0};
    bool is_archive = false;
    enum wf_status status = archive_walk_file(io, path, &is_archive, see_record, &seen, NULL);
    fuzz_require(status != WF_NO_MEMORY || !is_archive,
                 "no more memory is asked for than there is");
    require_refusal(status);
    free(path);
}

static uint64_t no_boundary(void *ctx) {
    (void)ctx;
    return UINT64_MAX;
}

static enum wf_status add_subtree(void *ctx, unsigned level, const uint8_t *hash,
                                  struct wf_error *err) {
    (void)hash;
    (void)err;
    *(uint64_t *)ctx += UINT64_C(1) << (level < 63 ? level : 63);
    return WF_OK;
}

static enum wf_status see_finding(void *ctx, const struct wal_finding *finding,
                                  struct wf_error *err) {
    (void)ctx;
    (void)finding;
    (void)err;
    return WF_OK;
}

/* What can be asked of a folder that has a manifest and no archive. */
static void ask_archive(struct archive *archive) {
    struct bytes_buffer buffer;
    struct wal_record record;
    struct archive_entry range;
    uint64_t leaves = 0;
    const struct archive_tree tree = {.ctx = &leaves, .boundary = no_boundary, .add = add_subtree};
    bytes_buffer_init(&buffer);
    uint64_t first = archive_first_lsn(archive);
    uint64_t last = archive_last_lsn(archive);
    require_refusal(archive_read(archive, first, &buffer, &record, NULL));
    require_refusal(archive_read(archive, last, &buffer, &record, NULL));
    (void)archive_dropped(archive, archive_dropped_lsn(archive), &range);
    struct seen seen = {0};
    require_refusal(archive_verify(archive, see_record, see_finding, &seen, NULL));
    require_refusal(archive_hash(archive, 0, last, &tree, NULL));
    require_refusal(archive_tidy(archive, UINT64_MAX, NULL));
    bytes_buffer_deinit(&buffer);
}

static void try_manifest(struct io *io, const uint8_t *data, size_t size) {
    struct bytes_buffer bytes;
    struct archive *archive = NULL;
    struct archive_manifest manifest;
    struct archive_manifest again;
    bytes_buffer_init(&bytes);
    bytes_write_run(&bytes, data, size);
    bytes_write_u32(&bytes, crc32c(0, data, size));
    put_file(io, archive_manifest_name, bytes.data, bytes.size);
    bytes_buffer_deinit(&bytes);
    enum wf_status status = archive_manifest_read(io, dir, &manifest, NULL);
    require_refusal(status);
    if (status != WF_OK)
        return;
    fuzz_require(archive_manifest_write(io, dir, &manifest, NULL) == WF_OK &&
                     archive_manifest_read(io, dir, &again, NULL) == WF_OK &&
                     again.count == manifest.count,
                 "a manifest is written as it was read");
    for (size_t i = 0; i < manifest.count; i++)
        fuzz_require(again.entries[i].last_lsn == manifest.entries[i].last_lsn &&
                         strcmp(again.entries[i].name, manifest.entries[i].name) == 0,
                     "with every entry");
    archive_manifest_deinit(&again);
    archive_manifest_deinit(&manifest);
    if (archive_open(io, dir, store_id, &archive, NULL) == WF_OK)
        ask_archive(archive);
    archive_close(archive);
}

static enum wf_status see_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                               struct wf_error *err) {
    (void)err;
    for (size_t i = 0; i < key.size; i++)
        *(uint64_t *)ctx += key.data[i];
    for (size_t i = 0; i < value.size; i++)
        *(uint64_t *)ctx += value.data[i];
    return WF_OK;
}

static void try_state(struct io *io, const uint8_t *data, size_t size) {
    char name[ARCHIVE_STATE_NAME_SIZE];
    struct archive *archive = NULL;
    uint64_t sum = 0;
    archive_state_name(40, name);
    put_members(io, name, data, size);
    fuzz_require(archive_open(io, dir, store_id, &archive, NULL) == WF_OK, "no archive is fine");
    require_refusal(archive_state_walk(archive, 40, see_pair, &sum, NULL));
    archive_close(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    struct sim_io *sim = sim_io_create(1);
    struct io *io = sim_io_of(sim);
    io->ops->make_directory(io, dir, NULL);
    switch (data[0] % KINDS) {
    case AS_BODY:
        try_body(data + 1, size - 1);
        break;
    case AS_FILE:
        put_members(io, file_name, data + 1, size - 1);
        try_file(io);
        break;
    case AS_MANIFEST:
        try_manifest(io, data + 1, size - 1);
        break;
    case AS_STATE:
        try_state(io, data + 1, size - 1);
        break;
    case AS_RAW:
        put_file(io, file_name, data + 1, size - 1);
        try_file(io);
        break;
    }
    fuzz_require(sim_open_files(sim) == 0, "no file stays open");
    sim_io_destroy(sim);
    return 0;
}
