#include "tests/lib/sim_snapshot.h"

#include "tests/lib/sim_generation.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_EXTRA_BYTES = 24 }; /* for ".damaged-N" */

/* What is durable in one directory. */
struct place {
    char *dir;
    struct sim_generation *durable; /* NULL: made, nothing committed */
    bool damaged;
    bool open;
    struct place *next;
};

struct plan {
    uint64_t countdown; /* commits until it strikes; 0: none */
    enum wf_status status;
    enum sim_snapshot_moment moment;
    sim_snapshot_crash_fn on_crash;
    void *ctx;
};

struct sim_snapshots {
    struct snapshot_provider provider; /* first: open() finds the disk through it */
    pthread_mutex_t lock;
    struct place *places;
    struct plan failure;
    struct plan crash;
    bool dead;
    uint64_t commits;
    size_t open_count;
};

struct sim_snapshot {
    struct snapshot base;
    struct sim_snapshots *disk;
    struct io *io;
    struct place *place;
    bool read_only;
    struct sim_generation *seen;
};

static enum wf_status dead(struct wf_error *err) {
    return error_set(err, WF_IO, "simulated snapshot: the process is dead");
}

static struct place *find_place(struct sim_snapshots *disk, const char *dir) {
    struct place *place = disk->places;
    while (place != NULL && strcmp(place->dir, dir) != 0)
        place = place->next;
    return place;
}

static struct place *add_place(struct sim_snapshots *disk, const char *dir) {
    struct place *place = calloc(1, sizeof *place);
    char *copy = strdup(dir);
    if (place == NULL || copy == NULL) {
        free(place);
        free(copy);
        return NULL;
    }
    place->dir = copy;
    place->next = disk->places;
    disk->places = place;
    return place;
}

/* ---- one snapshot ---- */

/* May the snapshot be read? Under the disk's lock. */
static enum wf_status check_readable(const struct sim_snapshot *snapshot, struct wf_error *err) {
    if (snapshot->disk->dead)
        return dead(err);
    if (snapshot->place->damaged)
        return error_set(err, WF_DAMAGE, "simulated snapshot %s: damaged", snapshot->place->dir);
    return WF_OK;
}

static enum wf_status lock_and_check(const struct sim_snapshot *snapshot, struct wf_error *err) {
    pthread_mutex_lock(&snapshot->disk->lock);
    enum wf_status status = check_readable(snapshot, err);
    pthread_mutex_unlock(&snapshot->disk->lock);
    return status;
}

static void sim_close(struct snapshot *base) {
    struct sim_snapshot *snapshot = (struct sim_snapshot *)base;
    if (snapshot == NULL)
        return;
    pthread_mutex_lock(&snapshot->disk->lock);
    snapshot->place->open = false;
    snapshot->disk->open_count--;
    pthread_mutex_unlock(&snapshot->disk->lock);
    sim_generation_release(snapshot->seen);
    free(snapshot);
}

static enum wf_status sim_get(struct snapshot *base, struct bytes_view key,
                              struct bytes_view *value, struct wf_error *err) {
    const struct sim_snapshot *snapshot = (const struct sim_snapshot *)base;
    enum wf_status status = lock_and_check(snapshot, err);
    if (status != WF_OK)
        return status;
    if (key.size > SNAPSHOT_KEY_MAX)
        return error_set(err, WF_USAGE, "a key of %zu bytes", key.size);
    const struct sim_generation *seen = snapshot->seen;
    size_t at = seen == NULL ? 0 : sim_generation_seek(seen, key);
    if (seen == NULL || at == seen->count ||
        sim_key_compare(sim_pair_key(seen->pairs[at]), key) != 0)
        return error_set(err, WF_NOT_FOUND, "no such key");
    *value = sim_pair_value(seen->pairs[at]);
    return WF_OK;
}

static enum wf_status sim_walk(struct snapshot *base, struct bytes_view from,
                               struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                               struct wf_error *err) {
    const struct sim_snapshot *snapshot = (const struct sim_snapshot *)base;
    const struct sim_generation *seen = snapshot->seen;
    enum wf_status status = lock_and_check(snapshot, err);
    if (status == WF_OK && (from.size > SNAPSHOT_KEY_MAX || prefix.size > SNAPSHOT_KEY_MAX))
        status = error_set(err, WF_USAGE, "a key of more than %d bytes", SNAPSHOT_KEY_MAX);
    size_t at = seen == NULL ? 0 : sim_generation_seek(seen, from);
    for (; status == WF_OK && seen != NULL && at < seen->count; at++) {
        struct bytes_view key = sim_pair_key(seen->pairs[at]);
        if (key.size < prefix.size ||
            (prefix.size > 0 && memcmp(key.data, prefix.data, prefix.size) != 0))
            break;
        status = on_pair(ctx, key, sim_pair_value(seen->pairs[at]), err);
    }
    return status;
}

static bool sim_meta(struct snapshot *base, struct snapshot_meta *meta) {
    const struct sim_snapshot *snapshot = (const struct sim_snapshot *)base;
    if (snapshot->seen == NULL)
        return false;
    *meta = snapshot->seen->meta;
    return true;
}

static enum wf_status sim_refresh(struct snapshot *base, struct wf_error *err) {
    struct sim_snapshot *snapshot = (struct sim_snapshot *)base;
    pthread_mutex_lock(&snapshot->disk->lock);
    enum wf_status status = check_readable(snapshot, err);
    struct sim_generation *newest =
        status == WF_OK ? sim_generation_share(snapshot->place->durable) : NULL;
    pthread_mutex_unlock(&snapshot->disk->lock);
    if (status != WF_OK)
        return status;
    sim_generation_release(snapshot->seen);
    snapshot->seen = newest;
    return WF_OK;
}

static void sim_trim(struct snapshot *base) {
    (void)base; /* the model caches nothing */
}

static void sim_sizes(struct snapshot *base, uint64_t *file_bytes, uint64_t *entries) {
    const struct sim_snapshot *snapshot = (const struct sim_snapshot *)base;
    *entries = snapshot->seen == NULL ? 0 : snapshot->seen->count;
    *file_bytes = snapshot->seen == NULL ? 0 : snapshot->seen->bytes;
}

/* ---- commits ---- */

static enum wf_status check_changes(const struct snapshot_change *changes, size_t count,
                                    const struct snapshot_meta *meta, struct wf_error *err) {
    if (meta->size > SNAPSHOT_META_MAX)
        return error_set(err, WF_USAGE, "a meta of %zu bytes", meta->size);
    for (size_t i = 0; i < count; i++) {
        if (changes[i].key.size > SNAPSHOT_KEY_MAX)
            return error_set(err, WF_USAGE, "a key of %zu bytes", changes[i].key.size);
        if (i > 0 && sim_key_compare(changes[i - 1].key, changes[i].key) >= 0)
            return error_set(err, WF_USAGE, "change %zu of %zu is not in key order", i, count);
    }
    return WF_OK;
}

static bool strikes(struct plan *plan) {
    return plan->countdown > 0 && --plan->countdown == 0;
}

/* What this commit meets: one failure or one crash, or nothing. Under the lock. */
struct fate {
    enum wf_status status;
    bool crash;
    struct plan plan;
};

static struct fate draw_fate(struct sim_snapshots *disk) {
    struct fate fate = {.status = WF_OK};
    if (strikes(&disk->failure))
        fate.status = disk->failure.status;
    fate.crash = strikes(&disk->crash);
    fate.plan = disk->crash;
    return fate;
}

/* Make `next` the durable generation, unless the fate says otherwise. Takes `next` over. */
static enum wf_status publish(struct sim_snapshot *snapshot, struct sim_generation *next,
                              struct wf_error *err) {
    struct sim_snapshots *disk = snapshot->disk;
    struct sim_generation *unused = next;
    pthread_mutex_lock(&disk->lock);
    enum wf_status status = check_readable(snapshot, err);
    struct fate fate = status == WF_OK ? draw_fate(disk) : (struct fate){.status = status};
    bool takes_effect =
        fate.status == WF_OK && !(fate.crash && fate.plan.moment == SIM_SNAPSHOT_BEFORE);
    if (takes_effect) {
        unused = snapshot->place->durable;
        snapshot->place->durable = next;
        disk->commits++;
    }
    disk->dead = disk->dead || fate.crash;
    pthread_mutex_unlock(&disk->lock);
    sim_generation_release(unused);
    if (fate.crash && fate.plan.on_crash != NULL)
        fate.plan.on_crash(fate.plan.ctx);
    if (fate.crash)
        return dead(err);
    if (status == WF_OK && fate.status != WF_OK)
        return error_set(err, fate.status, "simulated snapshot: a planned failure");
    return status;
}

static enum wf_status sim_commit(struct snapshot *base, const struct snapshot_change *changes,
                                 size_t count, const struct snapshot_meta *meta,
                                 struct wf_error *err) {
    struct sim_snapshot *snapshot = (struct sim_snapshot *)base;
    if (snapshot->read_only)
        return error_set(err, WF_USAGE, "simulated snapshot: opened for reading only");
    enum wf_status status = check_changes(changes, count, meta, err);
    if (status == WF_OK)
        status = lock_and_check(snapshot, err);
    if (status != WF_OK)
        return status;
    /* Only a commit replaces the durable generation, and there is one at a time. */
    struct sim_generation *next =
        sim_generation_next(snapshot->place->durable, changes, count, meta);
    if (next == NULL)
        return error_set(err, WF_NO_MEMORY, "a generation");
    io_point(snapshot->io, snapshot_points()[0]);
    status = publish(snapshot, next, err);
    if (status == WF_OK)
        io_point(snapshot->io, snapshot_points()[1]);
    return status;
}

/* ---- the provider ---- */

static const struct snapshot_ops SIM_OPS = {
    .close = sim_close,
    .get = sim_get,
    .walk = sim_walk,
    .meta = sim_meta,
    .commit = sim_commit,
    .refresh = sim_refresh,
    .trim = sim_trim,
    .sizes = sim_sizes,
};

/* Under the lock. */
static enum wf_status open_place(struct sim_snapshots *disk, const char *dir, bool create,
                                 struct place **out, struct wf_error *err) {
    if (disk->dead)
        return dead(err);
    struct place *place = find_place(disk, dir);
    if (place == NULL && !create)
        return error_set(err, WF_NOT_FOUND, "simulated snapshot %s: there is none", dir);
    if (place == NULL)
        place = add_place(disk, dir);
    if (place == NULL)
        return error_set(err, WF_NO_MEMORY, "a snapshot");
    if (place->open)
        return error_set(err, WF_LOCKED, "simulated snapshot %s: open in this process already",
                         dir);
    if (place->damaged)
        return error_set(err, WF_DAMAGE, "simulated snapshot %s: damaged", dir);
    place->open = true;
    disk->open_count++;
    *out = place;
    return WF_OK;
}

static enum wf_status sim_open(const struct snapshot_provider *provider, struct io *io,
                               const char *dir, bool create, bool read_only, struct snapshot **out,
                               struct wf_error *err) {
    struct sim_snapshots *disk = (struct sim_snapshots *)(uintptr_t)provider;
    *out = NULL;
    struct sim_snapshot *snapshot = calloc(1, sizeof *snapshot);
    if (snapshot == NULL)
        return error_set(err, WF_NO_MEMORY, "a snapshot");
    *snapshot = (struct sim_snapshot){
        .base = {.ops = &SIM_OPS}, .disk = disk, .io = io, .read_only = read_only};
    pthread_mutex_lock(&disk->lock);
    enum wf_status status = open_place(disk, dir, create && !read_only, &snapshot->place, err);
    if (status == WF_OK)
        snapshot->seen = sim_generation_share(snapshot->place->durable);
    pthread_mutex_unlock(&disk->lock);
    if (status != WF_OK) {
        free(snapshot);
        return status;
    }
    *out = &snapshot->base;
    return WF_OK;
}

/* Under the lock. */
static enum wf_status rename_place(struct sim_snapshots *disk, const char *dir, char *target,
                                   size_t size, struct wf_error *err) {
    struct place *place = find_place(disk, dir);
    if (disk->dead)
        return dead(err);
    if (place == NULL)
        return error_set(err, WF_NOT_FOUND, "simulated snapshot %s: there is none", dir);
    unsigned n = 1;
    do
        snprintf(target, size, "%s.damaged-%u", dir, n++);
    while (find_place(disk, target) != NULL);
    free(place->dir);
    place->dir = target;
    return WF_OK;
}

static enum wf_status sim_set_aside(const struct snapshot_provider *provider, struct io *io,
                                    const char *dir, struct wf_error *err) {
    (void)io;
    struct sim_snapshots *disk = (struct sim_snapshots *)(uintptr_t)provider;
    size_t size = strlen(dir) + NAME_EXTRA_BYTES;
    char *target = malloc(size);
    if (target == NULL)
        return error_set(err, WF_NO_MEMORY, "a path");
    pthread_mutex_lock(&disk->lock);
    enum wf_status status = rename_place(disk, dir, target, size, err);
    pthread_mutex_unlock(&disk->lock);
    if (status != WF_OK)
        free(target);
    return status;
}

/* ---- the disk ---- */

struct sim_snapshots *sim_snapshot_create(void) {
    struct sim_snapshots *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return NULL;
    disk->provider = (struct snapshot_provider){.open = sim_open, .set_aside = sim_set_aside};
    pthread_mutex_init(&disk->lock, NULL);
    return disk;
}

void sim_snapshot_destroy(struct sim_snapshots *disk) {
    while (disk != NULL && disk->places != NULL) {
        struct place *place = disk->places;
        disk->places = place->next;
        sim_generation_release(place->durable);
        free(place->dir);
        free(place);
    }
    if (disk != NULL)
        pthread_mutex_destroy(&disk->lock);
    free(disk);
}

const struct snapshot_provider *sim_snapshot_provider(struct sim_snapshots *disk) {
    return &disk->provider;
}

void sim_snapshot_fail_commit(struct sim_snapshots *disk, uint64_t nth, enum wf_status status) {
    pthread_mutex_lock(&disk->lock);
    disk->failure = (struct plan){.countdown = nth, .status = status};
    pthread_mutex_unlock(&disk->lock);
}

void sim_snapshot_crash_commit(struct sim_snapshots *disk, uint64_t nth,
                               enum sim_snapshot_moment moment, sim_snapshot_crash_fn on_crash,
                               void *ctx) {
    pthread_mutex_lock(&disk->lock);
    disk->crash =
        (struct plan){.countdown = nth, .moment = moment, .on_crash = on_crash, .ctx = ctx};
    pthread_mutex_unlock(&disk->lock);
}

void sim_snapshot_kill(struct sim_snapshots *disk) {
    pthread_mutex_lock(&disk->lock);
    disk->dead = true;
    pthread_mutex_unlock(&disk->lock);
}

bool sim_snapshot_is_dead(struct sim_snapshots *disk) {
    pthread_mutex_lock(&disk->lock);
    bool is_dead = disk->dead;
    pthread_mutex_unlock(&disk->lock);
    return is_dead;
}

struct sim_snapshots *sim_snapshot_survivor(struct sim_snapshots *disk) {
    struct sim_snapshots *survivor = sim_snapshot_create();
    pthread_mutex_lock(&disk->lock);
    for (const struct place *place = disk->places; survivor != NULL && place != NULL;
         place = place->next) {
        struct place *copy = add_place(survivor, place->dir);
        if (copy == NULL) {
            sim_snapshot_destroy(survivor);
            survivor = NULL;
            break;
        }
        copy->durable = sim_generation_share(place->durable);
        copy->damaged = place->damaged;
    }
    pthread_mutex_unlock(&disk->lock);
    return survivor;
}

bool sim_snapshot_damage(struct sim_snapshots *disk, const char *dir) {
    pthread_mutex_lock(&disk->lock);
    struct place *place = find_place(disk, dir);
    if (place != NULL)
        place->damaged = true;
    pthread_mutex_unlock(&disk->lock);
    return place != NULL;
}

bool sim_snapshot_exists(struct sim_snapshots *disk, const char *dir) {
    pthread_mutex_lock(&disk->lock);
    bool exists = find_place(disk, dir) != NULL;
    pthread_mutex_unlock(&disk->lock);
    return exists;
}

uint64_t sim_snapshot_commits(struct sim_snapshots *disk) {
    pthread_mutex_lock(&disk->lock);
    uint64_t commits = disk->commits;
    pthread_mutex_unlock(&disk->lock);
    return commits;
}

size_t sim_snapshot_open_count(struct sim_snapshots *disk) {
    pthread_mutex_lock(&disk->lock);
    size_t open_count = disk->open_count;
    pthread_mutex_unlock(&disk->lock);
    return open_count;
}
