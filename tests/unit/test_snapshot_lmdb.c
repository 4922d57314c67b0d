/* What only the LMDB snapshot can show: its bytes, damage to them, other processes, limits of the
 * system. */
#include "store/snapshot.h"
#include "store/snapshot_view.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256, PAGE_BYTES = 4096 };

struct fixture {
    struct snapshot *snapshot;
    char root[PATH_BYTES];
    char dir[PATH_BYTES + 16];
    char file[PATH_BYTES + 32];
    char lock_file[PATH_BYTES + 32];
    struct wf_error err;
};

static enum wf_status try_open(struct fixture *f, bool read_only) {
    const struct snapshot_provider *provider = snapshot_lmdb();
    return provider->open(provider, io_posix(), f->dir, !read_only, read_only, &f->snapshot,
                          &f->err);
}

static void close_it(struct fixture *f) {
    if (f->snapshot != NULL)
        f->snapshot->ops->close(f->snapshot);
    f->snapshot = NULL;
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    snprintf(f->root, sizeof f->root, "%s/test_snapshot_lmdb.XXXXXX", base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(f->root));
    snprintf(f->dir, sizeof f->dir, "%s/state", f->root);
    snprintf(f->file, sizeof f->file, "%s/data.mdb", f->dir);
    snprintf(f->lock_file, sizeof f->lock_file, "%s/lock.mdb", f->dir);
    assert_int_equal(try_open(f, false), WF_OK);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    close_it(f);
    char command[PATH_BYTES + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", f->root);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static struct bytes_view view(const char *text) {
    return (struct bytes_view){.data = (const uint8_t *)text, .size = strlen(text)};
}

static enum wf_status commit_one(struct fixture *f, const char *key, struct bytes_view value,
                                 uint64_t lsn) {
    struct snapshot_change change = {.key = view(key), .value = value};
    struct snapshot_meta meta = {.lsn = lsn, .bytes = "state", .size = 5};
    return f->snapshot->ops->commit(f->snapshot, &change, 1, &meta, &f->err);
}

static enum wf_status get(struct fixture *f, const char *key, struct bytes_view *value) {
    return f->snapshot->ops->get(f->snapshot, view(key), value, &f->err);
}

static uint64_t seen_lsn(struct fixture *f) {
    struct snapshot_meta meta = {0};
    return f->snapshot->ops->meta(f->snapshot, &meta) ? meta.lsn : 0;
}

/* ---- many pairs: key i is "k00000i", its value depends on i and the generation ---- */

enum { PAIRS = 600, VALUE_BYTES = 90 };

static void make_value(size_t i, unsigned generation, uint8_t value[VALUE_BYTES]) {
    for (size_t at = 0; at < VALUE_BYTES; at++)
        value[at] = (uint8_t)(i * 31 + generation * 101 + at);
}

static enum wf_status commit_many(struct fixture *f, size_t first, size_t count, size_t step,
                                  unsigned generation) {
    struct snapshot_change *changes = calloc(count, sizeof *changes);
    char(*keys)[16] = calloc(count, sizeof *keys);
    uint8_t(*values)[VALUE_BYTES] = calloc(count, sizeof *values);
    struct snapshot_meta meta = {.lsn = generation};
    assert_true(changes != NULL && keys != NULL && values != NULL);
    for (size_t i = 0; i < count; i++) {
        snprintf(keys[i], sizeof keys[i], "k%07zu", first + i * step);
        make_value(first + i * step, generation, values[i]);
        changes[i].key = view(keys[i]);
        changes[i].value = (struct bytes_view){.data = values[i], .size = VALUE_BYTES};
    }
    enum wf_status status = f->snapshot->ops->commit(f->snapshot, changes, count, &meta, &f->err);
    free(changes);
    free(keys);
    free(values);
    return status;
}

/* Two generations: the second changed every third pair. */
static void fill(struct fixture *f) {
    assert_int_equal(commit_many(f, 0, PAIRS, 1, 1), WF_OK);
    assert_int_equal(commit_many(f, 0, PAIRS / 3, 3, 2), WF_OK);
}

static enum wf_status get_number(struct fixture *f, size_t i, struct bytes_view *value) {
    char key[16];
    snprintf(key, sizeof key, "k%07zu", i);
    return get(f, key, value);
}

static bool is_right(size_t i, struct bytes_view value) {
    uint8_t expected[VALUE_BYTES];
    make_value(i, i % 3 == 0 ? 2 : 1, expected);
    return value.size == VALUE_BYTES && memcmp(value.data, expected, VALUE_BYTES) == 0;
}

static enum wf_status ignore_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                  struct wf_error *err) {
    (void)ctx;
    (void)key;
    (void)value;
    (void)err;
    return WF_OK;
}

static enum wf_status walk_all(struct fixture *f) {
    return f->snapshot->ops->walk(f->snapshot, view(""), view(""), ignore_pair, NULL, &f->err);
}

/* ---- the bytes ---- */

struct file {
    uint8_t *bytes;
    size_t size;
};

static struct file load(const char *path) {
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    struct file file = {.bytes = malloc((size_t)status.st_size), .size = (size_t)status.st_size};
    FILE *in = fopen(path, "rb");
    assert_true(file.bytes != NULL && in != NULL);
    assert_int_equal(fread(file.bytes, 1, file.size, in), file.size);
    fclose(in);
    return file;
}

static void store(const char *path, const uint8_t *bytes, size_t size) {
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static uint8_t *find_bytes(struct file file, const void *bytes, size_t size) {
    uint8_t *at = memmem(file.bytes, file.size, bytes, size);
    assert_non_null(at);
    return at;
}

static void test_snapshot_lmdb_writes_the_bytes_of_the_worked_example(void **state) {
    struct fixture *f = *state;
    /* store/FORMAT.md, "Worked example" */
    static const uint8_t pair[] = {0x01, 0x77, 0x66, 0x2f, 0x31, 0xc2, 0x91,
                                   0x03, 0x22, 0x68, 0x65, 0x6c, 0x6c, 0x6f};
    static const uint8_t record[] = {0x00, 0xe9, 0xd1, 0x86, 0xea, 0x77, 0x66, 0x73, 0x6e, 0x61,
                                     0x70, 0x01, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc2, 0x91, 0x03,
                                     0x22, 0x00, 0x00, 0x00, 0x00, 0x73, 0x74, 0x61, 0x74, 0x65};
    assert_int_equal(commit_one(f, "wf/1", view("hello"), 7), WF_OK);
    close_it(f);
    struct file file = load(f->file);
    find_bytes(file, pair, sizeof pair);
    find_bytes(file, record, sizeof record);
    free(file.bytes);
}

static void test_snapshot_lmdb_refuses_another_format_version(void **state) {
    struct fixture *f = *state;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    close_it(f);
    struct file file = load(f->file);
    uint8_t *record = find_bytes(file, "wfsnap", 6);
    struct bytes_view body = {.data = record, .size = SNAPSHOT_RECORD_HEAD_BYTES + 5};
    record[6] = SNAPSHOT_FORMAT_VERSION + 1;
    bytes_store_u32(record - SNAPSHOT_CHECKSUM_BYTES,
                    snapshot_pair_checksum(snapshot_record_key(), body));
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(try_open(f, false), WF_DAMAGE);
    assert_null(f->snapshot);
    assert_non_null(strstr(f->err.text, "snapshot format 2, only 1 is known"));
}

static void test_snapshot_lmdb_fills_pages_with_ascending_keys(void **state) {
    struct fixture *f = *state;
    enum { MANY = 20000, PER_PAIR_MAX = 130 }; /* bytes: a pair has 8 + 90 */
    assert_int_equal(commit_many(f, 0, MANY, 1, 1), WF_OK);
    assert_int_equal(commit_many(f, MANY, MANY, 1, 2), WF_OK);
    uint64_t bytes;
    uint64_t entries;
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    f->snapshot->ops->sizes(f->snapshot, &bytes, &entries);
    assert_int_equal(entries, 2 * MANY);
    assert_true(bytes / entries < PER_PAIR_MAX);
}

/* ---- damage ---- */

static void test_snapshot_lmdb_refuses_a_cut_file_at_every_page(void **state) {
    struct fixture *f = *state;
    fill(f);
    close_it(f);
    struct file file = load(f->file);
    for (size_t size = PAGE_BYTES; size < file.size; size += PAGE_BYTES) {
        for (unsigned read_only = 0; read_only < 2; read_only++) {
            store(f->file, file.bytes, size - (size / PAGE_BYTES) % 2);
            assert_int_equal(try_open(f, read_only), WF_DAMAGE);
            assert_null(f->snapshot);
        }
    }
    free(file.bytes);
}

static void test_snapshot_lmdb_refuses_a_foreign_file(void **state) {
    struct fixture *f = *state;
    close_it(f);
    uint8_t *bytes = calloc(4, PAGE_BYTES);
    assert_non_null(bytes);
    store(f->file, bytes, 4 * PAGE_BYTES);
    assert_int_equal(try_open(f, false), WF_DAMAGE);
    store(f->file, (const uint8_t *)"hello", 5);
    assert_int_equal(try_open(f, false), WF_DAMAGE);
    free(bytes);
}

static void test_snapshot_lmdb_takes_an_empty_file_for_none(void **state) {
    struct fixture *f = *state;
    close_it(f);
    store(f->file, (const uint8_t *)"", 0);
    assert_int_equal(try_open(f, true), WF_NOT_FOUND);
    assert_int_equal(try_open(f, false), WF_OK);
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
}

static void test_snapshot_lmdb_finds_a_flipped_value(void **state) {
    struct fixture *f = *state;
    struct bytes_view value;
    assert_int_equal(commit_one(f, "a", view("a value to flip"), 1), WF_OK);
    close_it(f);
    struct file file = load(f->file);
    find_bytes(file, "a value to flip", 15)[3] ^= 1;
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(try_open(f, false), WF_OK);
    assert_int_equal(get(f, "a", &value), WF_DAMAGE);
    assert_int_equal(walk_all(f), WF_DAMAGE);
    assert_int_equal(commit_one(f, "b", view("1"), 2), WF_DAMAGE);
}

/* The leaf page, of those with the highest transaction's content, that holds `key`'s pair. */
static uint8_t *find_leaf(struct file file, const char *key, size_t value_index,
                          unsigned generation) {
    uint8_t pair[1 + 8 + SNAPSHOT_CHECKSUM_BYTES + VALUE_BYTES];
    pair[0] = 1;
    memcpy(pair + 1, key, 8);
    make_value(value_index, generation, pair + 9 + SNAPSHOT_CHECKSUM_BYTES);
    bytes_store_u32(pair + 9, snapshot_pair_checksum(
                                  (struct bytes_view){.data = pair, .size = 9},
                                  (struct bytes_view){.data = pair + 13, .size = VALUE_BYTES}));
    size_t offset = (size_t)(find_bytes(file, pair, sizeof pair) - file.bytes);
    return file.bytes + offset / PAGE_BYTES * PAGE_BYTES;
}

static void test_snapshot_lmdb_does_not_take_a_lost_pair_for_an_absent_one(void **state) {
    struct fixture *f = *state;
    struct bytes_view value;
    fill(f);
    close_it(f);
    struct file file = load(f->file);
    uint8_t *leaf = find_leaf(file, "k0000300", 300, 2);
    /* Take the last offset off: LMDB then knows one pair less and says "not found". */
    leaf[12] = (uint8_t)(leaf[12] - 2);
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(try_open(f, false), WF_OK);
    size_t damaged = 0;
    for (size_t i = 0; i < PAIRS; i++) {
        enum wf_status status = get_number(f, i, &value);
        assert_true(status == WF_OK || status == WF_DAMAGE);
        damaged += status == WF_DAMAGE;
    }
    assert_int_equal(damaged, 1);
    assert_int_equal(walk_all(f), WF_DAMAGE);
}

static void test_snapshot_lmdb_refuses_an_older_root_under_the_newest_meta(void **state) {
    struct fixture *f = *state;
    enum { MAIN_ROOT_OFFSET = 128, TXN_OFFSET = 144 };
    fill(f);
    close_it(f);
    struct file file = load(f->file);
    uint8_t *second = file.bytes + PAGE_BYTES;
    bool second_is_newer =
        bytes_load_u64(second + TXN_OFFSET) > bytes_load_u64(file.bytes + TXN_OFFSET);
    uint8_t *newer = second_is_newer ? second : file.bytes;
    const uint8_t *older = second_is_newer ? file.bytes : second;
    memcpy(newer + MAIN_ROOT_OFFSET, older + MAIN_ROOT_OFFSET, sizeof(uint64_t));
    store(f->file, file.bytes, file.size);
    free(file.bytes);
    assert_int_equal(try_open(f, false), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "another transaction"));
}

/* In a child, so that a crash is an outcome and not the end. 0: every answer was right; 1: damage
 * was reported; 2: the generation before was opened; 3: a wrong answer. */
static int judge(struct fixture *f) {
    enum wf_status status = try_open(f, false);
    bool damage = status == WF_DAMAGE;
    if (status != WF_OK)
        return damage ? 1 : 3;
    if (seen_lsn(f) != 2)
        return seen_lsn(f) == 1 ? 2 : 3;
    for (size_t i = 0; i < PAIRS; i++) {
        struct bytes_view value;
        status = get_number(f, i, &value);
        if (status == WF_DAMAGE)
            damage = true;
        else if (status != WF_OK || !is_right(i, value))
            return 3;
    }
    status = walk_all(f);
    if (status != WF_DAMAGE && (status != WF_OK || damage))
        return 3; /* a walk must find what a lookup found */
    damage = damage || status == WF_DAMAGE;
    status = commit_many(f, 0, PAIRS / 5, 5, 3);
    return damage || status == WF_DAMAGE ? 1 : status == WF_OK ? 0 : 3;
}

static int judge_in_child(struct fixture *f) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(judge(f));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_snapshot_lmdb_single_flips_give_no_wrong_answer_and_no_crash(void **state) {
    struct fixture *f = *state;
    enum { FLIPS = 600 };
    uint64_t random = 987654321;
    size_t found = 0;
    fill(f);
    close_it(f);
    struct file file = load(f->file);
    print_message("seed %llu\n", (unsigned long long)random);
    for (unsigned i = 0; i < FLIPS; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t offset = (size_t)(random >> 33) % file.size;
        uint8_t mask = (uint8_t)(1u << (random >> 30 & 7));
        file.bytes[offset] ^= mask;
        store(f->file, file.bytes, file.size);
        file.bytes[offset] ^= mask;
        int outcome = judge_in_child(f);
        if (outcome < 0 || outcome > 2)
            fail_msg("offset %zu, mask %02x: outcome %d", offset, mask, outcome);
        found += outcome == 1;
    }
    assert_true(found > FLIPS / 10); /* else the flips met nothing that matters */
    free(file.bytes);
}

/* ---- other processes ---- */

static void test_snapshot_lmdb_is_refused_in_a_forked_child(void **state) {
    struct fixture *f = *state;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    pid_t child = fork();
    if (child == 0) {
        struct bytes_view value;
        bool refused = commit_one(f, "a", view("2"), 2) == WF_USAGE &&
                       get(f, "a", &value) == WF_USAGE &&
                       f->snapshot->ops->refresh(f->snapshot, NULL) == WF_USAGE;
        close_it(f);
        _exit(refused ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(commit_one(f, "a", view("3"), 3), WF_OK);
}

/* A reader process that says on a pipe what it sees, each time it is asked to. */
struct reader {
    pid_t pid;
    int ask;
    int answer;
};

static void serve_reader(struct fixture *f, int ask, int answer) {
    f->snapshot = NULL; /* the parent's */
    uint64_t lsn = try_open(f, true) == WF_OK ? seen_lsn(f) : UINT64_MAX;
    char byte;
    while (write(answer, &lsn, sizeof lsn) == sizeof lsn && read(ask, &byte, 1) == 1) {
        enum wf_status status = f->snapshot->ops->refresh(f->snapshot, &f->err);
        if (status == WF_OK)
            status = walk_all(f);
        lsn = status == WF_OK ? seen_lsn(f) : UINT64_MAX;
    }
    _exit(0);
}

static struct reader start_reader(struct fixture *f) {
    int ask[2];
    int answer[2];
    assert_true(pipe(ask) == 0 && pipe(answer) == 0);
    struct reader reader = {.pid = fork(), .ask = ask[1], .answer = answer[0]};
    if (reader.pid == 0) {
        close(ask[1]);
        close(answer[0]);
        serve_reader(f, ask[0], answer[1]);
    }
    close(ask[0]);
    close(answer[1]);
    return reader;
}

static uint64_t hear(struct reader *reader) {
    uint64_t lsn;
    assert_int_equal(read(reader->answer, &lsn, sizeof lsn), sizeof lsn);
    return lsn;
}

static uint64_t ask(struct reader *reader) {
    assert_int_equal(write(reader->ask, "?", 1), 1);
    return hear(reader);
}

static void end_reader(struct reader *reader) {
    close(reader->ask);
    close(reader->answer);
    assert_int_equal(waitpid(reader->pid, NULL, 0), reader->pid);
}

enum { LARGE_VALUE_BYTES = 30 << 20 };

/* Commit until the map must have grown beyond its first 64 MiB. */
static void outgrow_map(struct fixture *f, uint64_t first_lsn) {
    uint8_t *large = calloc(1, LARGE_VALUE_BYTES);
    assert_non_null(large);
    struct bytes_view value = {.data = large, .size = LARGE_VALUE_BYTES};
    static const char *const keys[] = {"large1", "large2", "large3"};
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(commit_one(f, keys[i], value, first_lsn + i), WF_OK);
    free(large);
}

static void test_snapshot_lmdb_reader_process_follows_a_growing_map(void **state) {
    struct fixture *f = *state;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    struct reader reader = start_reader(f);
    assert_int_equal(hear(&reader), 1);
    assert_int_equal(commit_one(f, "a", view("2"), 2), WF_OK);
    assert_int_equal(ask(&reader), 2);
    outgrow_map(f, 3);
    assert_int_equal(ask(&reader), 5);
    end_reader(&reader);
}

static void test_snapshot_lmdb_keeps_the_pages_of_a_reader_process(void **state) {
    struct fixture *f = *state;
    fill(f);
    struct reader reader = start_reader(f);
    assert_int_equal(hear(&reader), 2);
    for (unsigned generation = 3; generation < 30; generation++)
        assert_int_equal(commit_many(f, 0, PAIRS, 1, generation), WF_OK);
    assert_int_equal(ask(&reader), 29);
    end_reader(&reader);
}

static void test_snapshot_lmdb_clears_away_readers_that_were_killed(void **state) {
    struct fixture *f = *state;
    enum { MORE_THAN_READER_SLOTS = 140 };
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    for (unsigned i = 0; i < MORE_THAN_READER_SLOTS; i++) {
        struct reader reader = start_reader(f);
        assert_int_equal(hear(&reader), 1);
        assert_int_equal(kill(reader.pid, SIGKILL), 0);
        end_reader(&reader);
    }
}

static void test_snapshot_lmdb_reader_without_a_lock_file_writes_nothing(void **state) {
    struct fixture *f = *state;
    struct bytes_view value;
    struct stat status;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    close_it(f);
    assert_int_equal(unlink(f->lock_file), 0);
    assert_int_equal(try_open(f, true), WF_OK);
    assert_int_equal(get(f, "a", &value), WF_OK);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    close_it(f);
    assert_int_not_equal(stat(f->lock_file, &status), 0);
}

/* Become somebody without rights to the files, where we are root. */
static void drop_rights(void) {
    enum { NOBODY = 65534 };
    if (geteuid() == 0 && seteuid(NOBODY) != 0)
        _exit(9);
}

static void test_snapshot_lmdb_reads_where_it_may_not_write(void **state) {
    struct fixture *f = *state;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    close_it(f);
    assert_true(chmod(f->root, 0755) == 0 && chmod(f->dir, 0555) == 0);
    assert_true(chmod(f->file, 0444) == 0 && chmod(f->lock_file, 0444) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct bytes_view value;
        drop_rights();
        bool reads = try_open(f, true) == WF_OK && get(f, "a", &value) == WF_OK;
        close_it(f);
        _exit(reads && try_open(f, false) == WF_IO && f->snapshot == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
}

/* ---- crashes ---- */

/* The machine, but for a process that ends at a named instant. */
struct stopping_io {
    struct io base;
    struct io_ops ops;
    const char *stop_at;
};

static void stop_process(struct io *io, const char *name) {
    if (strcmp(((struct stopping_io *)io)->stop_at, name) == 0)
        _exit(0);
}

static void test_snapshot_lmdb_crash_leaves_one_generation_or_the_other(void **state) {
    struct fixture *f = *state;
    close_it(f);
    uint64_t lsn = 1;
    for (const char *const *point = snapshot_points(); *point != NULL; point++, lsn++) {
        pid_t child = fork();
        if (child == 0) {
            struct stopping_io io = {.ops = *io_posix()->ops, .stop_at = *point};
            io.ops.point = stop_process;
            io.base.ops = &io.ops;
            const struct snapshot_provider *provider = snapshot_lmdb();
            if (provider->open(provider, &io.base, f->dir, true, false, &f->snapshot, NULL) ==
                WF_OK)
                commit_one(f, "a", view("1"), lsn);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(try_open(f, false), WF_OK);
        bool took_effect = point == snapshot_points() + 1;
        assert_int_equal(seen_lsn(f), took_effect ? lsn : 0);
        close_it(f);
    }
    assert_int_equal(lsn, 3);
}

/* ---- limits ---- */

struct lookups {
    struct fixture *f;
    atomic_bool stop;
    size_t done;
    size_t wrong;
};

static void *look_up(void *ctx) {
    struct lookups *lookups = ctx;
    while (!atomic_load(&lookups->stop)) {
        struct bytes_view value;
        size_t i = lookups->done % PAIRS;
        lookups->wrong += get_number(lookups->f, i, &value) != WF_OK || !is_right(i, value);
        lookups->done++;
    }
    return NULL;
}

static void test_snapshot_lmdb_grows_beside_lookups_of_another_thread(void **state) {
    struct fixture *f = *state;
    struct lookups lookups = {.f = f};
    pthread_t thread;
    fill(f);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(pthread_create(&thread, NULL, look_up, &lookups), 0);
    outgrow_map(f, 3);
    atomic_store(&lookups.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(lookups.done > 0);
    assert_int_equal(lookups.wrong, 0);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(seen_lsn(f), 5);
    assert_int_equal(walk_all(f), WF_OK);
}

static void test_snapshot_lmdb_value_outlives_the_map_it_was_in(void **state) {
    struct fixture *f = *state;
    struct bytes_view value;
    fill(f);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(get_number(f, 3, &value), WF_OK);
    outgrow_map(f, 3);
    assert_true(is_right(3, value));
}

static void test_snapshot_lmdb_takes_a_commit_larger_than_twice_the_map(void **state) {
    struct fixture *f = *state;
    enum { SIZE = 200 << 20 };
    uint8_t *large = calloc(1, SIZE);
    assert_non_null(large);
    assert_int_equal(commit_one(f, "a", (struct bytes_view){.data = large, .size = SIZE}, 1),
                     WF_OK);
    free(large);
    close_it(f);
    assert_int_equal(try_open(f, false), WF_OK);
    struct bytes_view value;
    assert_int_equal(get(f, "a", &value), WF_OK);
    assert_int_equal(value.size, SIZE);
}

static void set_file_size_limit(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_snapshot_lmdb_file_size_limit_is_full_and_kills_nobody(void **state) {
    struct fixture *f = *state;
    struct bytes_view value;
    sigset_t pending;
    fill(f);
    /* First writes that are cut short at the limit, then writes that begin behind it and raise the
     * signal. */
    for (rlim_t limit = 256 << 10; limit >= 32 << 10; limit /= 2) {
        set_file_size_limit(limit);
        assert_int_equal(commit_many(f, PAIRS, 20000, 1, 3), WF_FULL);
    }
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 0);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(seen_lsn(f), 2);
    assert_int_equal(get_number(f, 3, &value), WF_OK);
    set_file_size_limit(RLIM_INFINITY);
    assert_int_equal(commit_many(f, PAIRS, 20000, 1, 3), WF_OK);
    close_it(f);
    assert_int_equal(try_open(f, false), WF_OK);
    assert_int_equal(seen_lsn(f), 3);
    assert_int_equal(walk_all(f), WF_OK);
}

static size_t count_open_files(void) {
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* The limit under which `spare` more files can be opened. */
static rlim_t limit_for_spare(size_t spare) {
    for (int fd = 0;; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (spare-- == 0)
            return (rlim_t)fd;
    }
}

static void test_snapshot_lmdb_open_without_descriptors_fails_and_leaks_none(void **state) {
    struct fixture *f = *state;
    struct rlimit limit;
    assert_int_equal(commit_one(f, "a", view("1"), 1), WF_OK);
    close_it(f);
    size_t before = count_open_files();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t spare = 0; spare < 3; spare++) {
        struct rlimit low = {.rlim_cur = limit_for_spare(spare), .rlim_max = limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(try_open(f, false), WF_IO);
        assert_null(f->snapshot);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count_open_files(), before);
    assert_int_equal(try_open(f, false), WF_OK);
    assert_int_equal(seen_lsn(f), 1);
}

static void test_snapshot_lmdb_file_is_never_shorter_than_its_meta_page_says(void **state) {
    struct fixture *f = *state;
    /* Removing nearly everything makes LMDB take pages from the end and drop them again. */
    uint64_t random = 5;
    for (unsigned round = 0; round < 40; round++) {
        size_t step = 1 + (size_t)(random >> 60) % 4;
        assert_int_equal(commit_many(f, 0, PAIRS / step, step, round), WF_OK);
        struct snapshot_change changes[PAIRS];
        char keys[PAIRS][16];
        size_t count = 0;
        for (size_t i = 0; i < PAIRS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 60) < 2)
                continue;
            snprintf(keys[count], sizeof keys[count], "k%07zu", i);
            changes[count] = (struct snapshot_change){.key = view(keys[count])};
            count++;
        }
        struct snapshot_meta meta = {.lsn = round};
        assert_int_equal(f->snapshot->ops->commit(f->snapshot, changes, count, &meta, &f->err),
                         WF_OK);
        close_it(f);
        assert_int_equal(try_open(f, false), WF_OK);
        assert_int_equal(walk_all(f), WF_OK);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_lmdb_writes_the_bytes_of_the_worked_example),
        TEST(test_snapshot_lmdb_refuses_another_format_version),
        TEST(test_snapshot_lmdb_fills_pages_with_ascending_keys),
        TEST(test_snapshot_lmdb_refuses_a_cut_file_at_every_page),
        TEST(test_snapshot_lmdb_refuses_a_foreign_file),
        TEST(test_snapshot_lmdb_takes_an_empty_file_for_none),
        TEST(test_snapshot_lmdb_finds_a_flipped_value),
        TEST(test_snapshot_lmdb_does_not_take_a_lost_pair_for_an_absent_one),
        TEST(test_snapshot_lmdb_refuses_an_older_root_under_the_newest_meta),
        TEST(test_snapshot_lmdb_single_flips_give_no_wrong_answer_and_no_crash),
        TEST(test_snapshot_lmdb_is_refused_in_a_forked_child),
        TEST(test_snapshot_lmdb_reader_process_follows_a_growing_map),
        TEST(test_snapshot_lmdb_keeps_the_pages_of_a_reader_process),
        TEST(test_snapshot_lmdb_clears_away_readers_that_were_killed),
        TEST(test_snapshot_lmdb_reader_without_a_lock_file_writes_nothing),
        TEST(test_snapshot_lmdb_reads_where_it_may_not_write),
        TEST(test_snapshot_lmdb_crash_leaves_one_generation_or_the_other),
        TEST(test_snapshot_lmdb_grows_beside_lookups_of_another_thread),
        TEST(test_snapshot_lmdb_value_outlives_the_map_it_was_in),
        TEST(test_snapshot_lmdb_takes_a_commit_larger_than_twice_the_map),
        TEST(test_snapshot_lmdb_file_size_limit_is_full_and_kills_nobody),
        TEST(test_snapshot_lmdb_open_without_descriptors_fails_and_leaks_none),
        TEST(test_snapshot_lmdb_file_is_never_shorter_than_its_meta_page_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
