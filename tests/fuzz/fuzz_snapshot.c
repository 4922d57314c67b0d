/* Any bytes as the snapshot's data file: the page reader never leaves them, and whatever it hands
 * out is found again by its key. */
#include "store/snapshot_view.h"
#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEED_PAIRS = 40, CHANGES = 3, BYTES_MAX = 128 * 1024 };

static void seed_file(const char *dir) {
    static uint8_t bytes[BYTES_MAX];
    char path[300];
    snprintf(path, sizeof path, "%s/data.mdb", dir);
    FILE *file = fopen(path, "rb");
    fuzz_require(file != NULL, "LMDB made a file");
    fuzz_seed(bytes, fread(bytes, 1, sizeof bytes, file));
    fclose(file);
    unlink(path);
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    unlink(path);
    rmdir(dir);
}

/* Real files: empty, one leaf, and two levels with an overflow page. */
static void make_seed(size_t pairs, size_t value_size) {
    char dir[] = "/tmp/fuzz_snapshot.XXXXXX";
    static uint8_t value[8192];
    char keys[SEED_PAIRS][16];
    struct snapshot_change changes[SEED_PAIRS];
    struct snapshot_meta meta = {.lsn = 7, .size = 3};
    struct snapshot *snapshot;
    fuzz_require(mkdtemp(dir) != NULL &&
                     snapshot_lmdb()->open(snapshot_lmdb(), io_posix(), dir, true, false, &snapshot,
                                           NULL) == WF_OK,
                 "LMDB opens");
    for (size_t i = 0; i < pairs; i++) {
        snprintf(keys[i], sizeof keys[i], "key-%04zu", i);
        changes[i].key = (struct bytes_view){(const uint8_t *)keys[i], strlen(keys[i])};
        changes[i].value = (struct bytes_view){value, i == 5 ? sizeof value : value_size};
    }
    fuzz_require(pairs == 0 ||
                     snapshot->ops->commit(snapshot, changes, pairs, &meta, NULL) == WF_OK,
                 "LMDB commits");
    snapshot->ops->close(snapshot);
    seed_file(dir);
}

static void make_seeds(void) {
    make_seed(0, 0);
    make_seed(4, 20);
    make_seed(SEED_PAIRS, 200);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

static enum wf_status see_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                               struct wf_error *err) {
    const struct snapshot_view *view = ctx;
    struct snapshot_stored_key stored;
    struct bytes_view found;
    fuzz_require(key.size <= SNAPSHOT_KEY_MAX, "a key is no longer than keys are");
    snapshot_stored_key_make(&stored, key);
    enum wf_status status =
        snapshot_view_get(view, (struct bytes_view){stored.bytes, stored.size}, &found, err);
    fuzz_require(status == WF_DAMAGE || (status == WF_OK && found.size == value.size),
                 "what a walk shows is found by its key");
    return WF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct snapshot_view view = {0};
    struct wf_error err = {0};
    /* Exactly as long as the bytes, so that a read behind them is seen. */
    uint8_t *map = malloc(size + 1);
    fuzz_require(map != NULL, "memory");
    map = realloc(map, size == 0 ? 1 : size);
    memcpy(map, data, size);
    enum wf_status status = snapshot_view_load(&view, map, size, size, 0, &err);
    fuzz_require(status == WF_OK || status == WF_DAMAGE || status == WF_NOT_FOUND,
                 "a file is read or refused");
    if (status == WF_OK) {
        const struct bytes_view all = {(const uint8_t *)"", 0};
        (void)snapshot_view_walk(&view, all, all, see_pair, &view, &err);
        static const char *const names[CHANGES] = {"key-0001", "key-0007", "zzz"};
        struct snapshot_change changes[CHANGES];
        for (size_t i = 0; i < CHANGES; i++) {
            changes[i].key = (struct bytes_view){(const uint8_t *)names[i], strlen(names[i])};
            changes[i].value = (struct bytes_view){i == 1 ? NULL : (const uint8_t *)"v", i != 1};
        }
        struct snapshot_totals totals;
        size_t append_from;
        (void)snapshot_view_prepare(&view, changes, CHANGES, &totals, &append_from, &err);
    }
    free(map);
    return 0;
}
