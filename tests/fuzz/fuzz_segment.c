/* Any bytes as the segments of a log, with checksums that hold: opening never crashes; where it
 * opens it takes a new record, and opening again finds all of it; where it refuses, a repair makes
 * it usable. Writer, reader and check agree on what is there. */
#include "tests/fuzz/frames.h"
#include "tests/fuzz/seeds.h"
#include "tests/lib/sim_io.h"
#include "wal/wal.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEAD = 2, /* bytes of an input that say where the first segment ends; 0: there is one only */
    SEEDS_SIZE = 4096,
    RECORDS_MAX = 200000,
};

static const char dir[] = "log";

/* What a walk saw. */
struct seen {
    uint64_t records, last_lsn, hash;
};

/* Append a file of the log to the seed; returns how many bytes it has. */
static size_t add_file(struct io *io, uint64_t first_lsn, uint8_t *at, size_t room) {
    char name[WAL_SEGMENT_NAME_SIZE];
    struct io_file *file = NULL;
    size_t got = 0;
    wal_segment_name(name, first_lsn);
    fuzz_require(wal_segment_open(io, dir, name, IO_READ, &file, NULL) == WF_OK &&
                     io_read_all(io, file, 0, at, room, &got, NULL) == WF_OK,
                 "a seed's file can be read");
    io->ops->close(io, file);
    return got;
}

/* A real log: a sealed segment and an open one. */
static void make_real_seed(void) {
    uint8_t bytes[SEEDS_SIZE];
    struct sim_io *sim = sim_io_create(1);
    struct io *io = sim_io_of(sim);
    struct wal_options options = {.segment_size = WAL_SEGMENT_SIZE_MIN};
    struct wal_recovery report;
    struct wal *wal = NULL;
    struct wal_ticket ticket;
    fuzz_require(wal_create(io, dir, (const uint8_t *)"a store to fuzz.", &options, NULL) == WF_OK,
                 "a log is made");
    fuzz_require(wal_open(io, dir, &options, NULL, 0, NULL, NULL, &report, &wal, NULL) == WF_OK,
                 "and opened");
    for (int i = 0; i < 5; i++) {
        fuzz_require(wal_append(wal, "payload", 7, 0, &ticket, NULL) == WF_OK, "appended to");
        if (i == 2)
            fuzz_require(wal_rotate(wal, NULL) == WF_OK, "rotated");
    }
    fuzz_require(wal_close(wal, NULL) == WF_OK, "and closed");
    size_t first = add_file(io, 1, bytes + HEAD, sizeof bytes - HEAD);
    size_t second = add_file(io, 4, bytes + HEAD + first, sizeof bytes - HEAD - first);
    bytes[0] = (uint8_t)first;
    bytes[1] = (uint8_t)(first >> 8);
    fuzz_seed(bytes, HEAD + first + second);
    sim_io_destroy(sim);
}

static void make_seeds(void) {
    uint8_t bytes[SEEDS_SIZE] = {0};
    fuzz_seed(bytes, HEAD + frames_make_segment(bytes + HEAD, sizeof bytes - HEAD, 5, false));
    fuzz_seed(bytes, HEAD + frames_make_segment(bytes + HEAD, sizeof bytes - HEAD, 3, true));
    make_real_seed();
}

/* Where the first segment ends in the bytes behind the head. */
static size_t cut_of(const uint8_t *data, size_t size) {
    size_t cut = data[0] + 256U * data[1];
    return cut == 0 || cut > size - HEAD ? size - HEAD : cut;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, size_max);
    if (seed % 4 != 0 && size > HEAD) {
        size_t cut = cut_of(data, size);
        frames_repair_segment(data + HEAD, cut, seed % 8 < 6);
        frames_repair_segment(data + HEAD + cut, size - HEAD - cut, false);
    }
    return size;
}

static enum wf_status see(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct seen *seen = ctx;
    seen->records++;
    fuzz_require(seen->last_lsn == 0 || record->lsn == seen->last_lsn + 1, "LSNs are dense");
    seen->last_lsn = record->lsn;
    for (size_t i = 0; i < record->payload.size; i++)
        seen->hash = seen->hash * 31 + record->payload.data[i];
    if (seen->records > RECORDS_MAX) /* a lost frame may stand for millions */
        return error_set(err, WF_REFUSED, "enough");
    return WF_OK;
}

static void put_file(struct io *io, uint64_t first_lsn, const uint8_t *data, size_t size) {
    char name[WAL_SEGMENT_NAME_SIZE];
    wal_segment_name(name, first_lsn);
    char *path = io_path_join(dir, name);
    struct io_file *file = NULL;
    fuzz_require(path != NULL &&
                     io->ops->open(io, path, IO_WRITE | IO_CREATE, &file, NULL) == WF_OK &&
                     io_write_all(io, file, 0, data, size, NULL) == WF_OK,
                 "a file can be written");
    io->ops->close(io, file);
    free(path);
}

static bool is_refusal(enum wf_status status) {
    return status == WF_DAMAGE || status == WF_REFUSED || status == WF_NOT_FOUND;
}

static enum wf_status open_log(struct io *io, struct wal **wal, struct seen *seen) {
    struct wal_options options = {.segment_size = WAL_SEGMENT_SIZE_MIN};
    struct wal_recovery report;

    struct wf_error err;
    *seen = (struct seen){0};
    return wal_open(io, dir, &options, NULL, 0, see, seen, &report, wal, &err);
}

static void check_opened(struct io *io, struct wal *wal, const struct seen *before) {
    struct wal_ticket ticket;
    struct seen seen;
    fuzz_require(wal_append(wal, "new", 3, wal_cuts(wal), &ticket, NULL) == WF_OK,
                 "an open log takes a record");
    fuzz_require(wal_wait(wal, &ticket, NULL) == WF_OK, "and makes it durable");
    fuzz_require(wal_close(wal, NULL) == WF_OK, "and closes");
    enum wf_status status = open_log(io, &wal, &seen);
    fuzz_require(status == WF_OK || seen.records > RECORDS_MAX, "and opens again");
    fuzz_require(status != WF_OK || seen.records == before->records + 1,
                 "with the new record behind those before");
    wal_close(wal, NULL);
}

static enum wf_status add_span(void *ctx, const struct wal_finding *finding, struct wf_error *err) {
    (void)err;
    if (finding->first_lsn <= finding->last_lsn)
        *(uint64_t *)ctx += finding->last_lsn - finding->first_lsn + 1;
    return WF_OK;
}

static void check_refused(struct io *io) {
    uint64_t lost = 0;
    struct wal *wal = NULL;
    struct seen seen;
    struct wf_error err;
    if (wal_repair(io, dir, 0, 0, add_span, &lost, &err) != WF_OK || lost > RECORDS_MAX)
        return;
    enum wf_status status = open_log(io, &wal, &seen);
    wal_close(wal, NULL);
    if (status == WF_OK || seen.records > RECORDS_MAX)
        return;
    /* The only segment that told the store belonged elsewhere, and was put aside: now there is
     * none, or bytes that tell nothing, which another repair refuses too. */
    fuzz_require(status == WF_NOT_FOUND || wal_repair(io, dir, 0, 0, NULL, NULL, NULL) == WF_DAMAGE,
                 "a repaired log opens");
}

/* A lost frame may stand for millions of records, and each of them is hashed: half a minute for a
 * few bytes of input. */
static bool has_long_loss(const uint8_t *segment, size_t size) {
    if (size < WAL_SEGMENT_HEADER_SIZE)
        return false;
    uint32_t seed = wal_frame_seed(segment + 16);
    for (size_t at = 0; at + WAL_FRAME_SIZE_MIN <= size; at += WAL_FRAME_ALIGN) {
        struct wal_frame frame;
        if (wal_frame_decode_header(segment + at, seed, &frame) == NULL &&
            wal_frame_next_lsn(&frame) - frame.lsn > RECORDS_MAX)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size <= HEAD || has_long_loss(data + HEAD, cut_of(data, size)) ||
        has_long_loss(data + HEAD + cut_of(data, size), size - HEAD - cut_of(data, size)))
        return 0;
    struct sim_io *sim = sim_io_create(1);
    struct io *io = sim_io_of(sim);
    io->ops->make_directory(io, dir, NULL);
    size_t cut = cut_of(data, size);
    const uint8_t *second = data + HEAD + cut;
    size_t second_size = size - HEAD - cut;
    put_file(io, 1, data + HEAD, cut);
    if (second_size > 0) {
        uint64_t lsn = second_size >= WAL_SEGMENT_HEADER_SIZE ? bytes_load_u64(second + 32) : 2;
        put_file(io, lsn < 2 || lsn > UINT64_MAX / 4 ? 2 : lsn, second, second_size);
    }
    struct seen by_reader = {0};
    struct seen by_owner;
    struct wal_recovery report;
    struct wf_error err;
    struct wal *wal = NULL;
    uint64_t before = sim_hash(sim);
    enum wf_status reader =
        wal_open_reader(io, dir, NULL, 0, UINT64_MAX, see, &by_reader, &report, &wal, &err);
    wal_close(wal, NULL);
    struct seen by_check = {0};
    fuzz_require(reader == WF_OK || is_refusal(reader), "a reader reads or refuses");
    (void)wal_verify(io, dir, 0, UINT64_MAX, NULL, NULL, &by_check, &err);
    fuzz_require(sim_hash(sim) == before, "looking changes nothing");
    wal = NULL;
    enum wf_status owner = open_log(io, &wal, &by_owner);
    fuzz_require(owner == reader || owner == WF_OK || is_refusal(owner),
                 "an owner opens or refuses");
    /* An owner checks more: the Merkle root of what it goes on with. */
    fuzz_require(owner != WF_OK || reader == WF_OK, "what opens for an owner opens for a reader");
    if (owner == WF_OK) {
        fuzz_require(by_owner.records == by_reader.records && by_owner.hash == by_reader.hash,
                     "and see the same records");
        check_opened(io, wal, &by_owner);
    } else if (owner == WF_DAMAGE) {
        check_refused(io);
    }
    fuzz_require(sim_open_files(sim) == 0, "no file stays open");
    sim_io_destroy(sim);
    return 0;
}
