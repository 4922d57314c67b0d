#include "tests/sim/machine_snapshots.h"

#include "tests/lib/sim_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, META_PAGES = 2 };

/* A whole file in memory. */
struct file_bytes {
    uint8_t *data;
    size_t size;
};

struct machine_snapshots {
    struct snapshot_provider provider; /* first: open() finds this through it */
    struct sim_snapshots *model;       /* NULL: LMDB below `folder` */
    char folder[PATH_MAX];
    char parent[PATH_MAX]; /* where survivors get folders of their own */
    machine_commit_fn on_commit;
    void *ctx;
    uint64_t commits;
    uint64_t torn; /* survivors of a commit cut in the middle so far, while one is */
    char torn_path[PATH_MAX + 16];
    struct file_bytes before, after;
    size_t open_count;
};

/* What the engine holds: passes calls on, and tells of commits. */
struct machine_snapshot {
    struct snapshot base;
    struct snapshot *inner;
    struct machine_snapshots *machine;
    char path[PATH_MAX + 16]; /* of LMDB's data file */
};

static struct snapshot *inner_of(struct snapshot *base) {
    return ((struct machine_snapshot *)base)->inner;
}

/* --- files of the real machine; where they fail, the run ends --- */

static void require(bool condition, const char *what) {
    if (!condition) {
        perror(what);
        abort();
    }
}

static bool read_file(const char *path, struct file_bytes *out) {
    *out = (struct file_bytes){0};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    struct stat status;
    require(fstat(fileno(file), &status) == 0, path);
    out->size = (size_t)status.st_size;
    out->data = sim_allocate(out->size + 1, 1);
    require(fread(out->data, 1, out->size, file) == out->size, path);
    fclose(file);
    return true;
}

static void write_file(const char *path, const struct file_bytes *bytes) {
    FILE *file = fopen(path, "wb");
    require(file != NULL && fwrite(bytes->data, 1, bytes->size, file) == bytes->size, path);
    fclose(file);
}

static void free_bytes(struct file_bytes *bytes) {
    free(bytes->data);
    *bytes = (struct file_bytes){0};
}

/* For every folder in `from`, one of the same name in `to` with the same data file; `to` NULL:
 * remove them. */
static void each_snapshot(const char *from, const char *to) {
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    DIR *directory = opendir(from);
    require(directory != NULL, from);
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        char path[2 * PATH_MAX];
        struct file_bytes bytes;
        for (size_t i = 0; to == NULL && i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s/%s", from, entry->d_name, files[i]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/%s", to == NULL ? from : to, entry->d_name);
        require(to == NULL ? rmdir(path) == 0 : mkdir(path, 0700) == 0, path);
        snprintf(path, sizeof path, "%s/%s/%s", from, entry->d_name, files[0]);
        if (to != NULL && read_file(path, &bytes)) {
            snprintf(path, sizeof path, "%s/%s/%s", to, entry->d_name, files[0]);
            write_file(path, &bytes);
            free_bytes(&bytes);
        }
    }
    closedir(directory);
}

/* --- a commit --- */

static void tell(const struct machine_snapshots *machine) {
    if (machine->on_commit != NULL)
        machine->on_commit(machine->ctx);
}

/* The commit went through; a crash may have cut it in the middle. */
static void tell_torn(struct machine_snapshots *machine, const char *path) {
    if (machine->on_commit != NULL && machine->before.data != NULL &&
        read_file(path, &machine->after)) {
        snprintf(machine->torn_path, sizeof machine->torn_path, "%s", path);
        machine->torn = 1;
        tell(machine);
        machine->torn = 0;
        free_bytes(&machine->after);
    }
}

static enum wf_status machine_commit(struct snapshot *base, const struct snapshot_change *changes,
                                     size_t count, const struct snapshot_meta *meta,
                                     struct wf_error *err) {
    struct machine_snapshot *snapshot = (struct machine_snapshot *)base;
    struct machine_snapshots *machine = snapshot->machine;
    bool lmdb = machine->model == NULL;
    tell(machine);
    if (lmdb && machine->on_commit != NULL)
        read_file(snapshot->path, &machine->before);
    enum wf_status status =
        snapshot->inner->ops->commit(snapshot->inner, changes, count, meta, err);
    machine->commits++;
    if (lmdb)
        tell_torn(machine, snapshot->path);
    free_bytes(&machine->before);
    tell(machine);
    return status;
}

/* Old, new, or nothing at all for every page that the commit wrote; the first two as they were. */
static void write_torn(const struct machine_snapshots *machine, const char *path, uint64_t random) {
    const struct file_bytes *before = &machine->before;
    const struct file_bytes *after = &machine->after;
    struct file_bytes torn = {.size = after->size > before->size ? after->size : before->size};
    torn.data = sim_allocate(torn.size + 1, 1);
    memcpy(torn.data, before->data, before->size);
    for (size_t at = (size_t)META_PAGES * PAGE; at + PAGE <= after->size; at += PAGE) {
        bool grew = at + PAGE > before->size;
        uint64_t chosen = sim_random_next(&random) % 4;
        if (chosen >= 2)
            memcpy(torn.data + at, after->data + at, PAGE);
        else if (grew && chosen == 1)
            memset(torn.data + at, 0x5A, PAGE);
    }
    if (random % 2 == 0) /* the file did not even grow */
        torn.size = before->size;
    write_file(path, &torn);
    free_bytes(&torn);
}

/* --- the rest is passed on --- */

static void machine_close(struct snapshot *base) {
    struct machine_snapshot *snapshot = (struct machine_snapshot *)base;
    if (snapshot == NULL)
        return;
    snapshot->inner->ops->close(snapshot->inner);
    snapshot->machine->open_count--;
    free(snapshot);
}

static enum wf_status machine_get(struct snapshot *base, struct bytes_view key,
                                  struct bytes_view *value, struct wf_error *err) {
    return inner_of(base)->ops->get(inner_of(base), key, value, err);
}

static enum wf_status machine_walk(struct snapshot *base, struct bytes_view from,
                                   struct bytes_view prefix, snapshot_pair_fn on_pair, void *ctx,
                                   struct wf_error *err) {
    return inner_of(base)->ops->walk(inner_of(base), from, prefix, on_pair, ctx, err);
}

static bool machine_meta(struct snapshot *base, struct snapshot_meta *meta) {
    return inner_of(base)->ops->meta(inner_of(base), meta);
}

static enum wf_status machine_refresh(struct snapshot *base, struct wf_error *err) {
    return inner_of(base)->ops->refresh(inner_of(base), err);
}

static void machine_trim(struct snapshot *base) {
    inner_of(base)->ops->trim(inner_of(base));
}

static void machine_sizes(struct snapshot *base, uint64_t *file_bytes, uint64_t *entries) {
    inner_of(base)->ops->sizes(inner_of(base), file_bytes, entries);
}

static const struct snapshot_ops MACHINE_OPS = {
    .close = machine_close,
    .get = machine_get,
    .walk = machine_walk,
    .meta = machine_meta,
    .commit = machine_commit,
    .refresh = machine_refresh,
    .trim = machine_trim,
    .sizes = machine_sizes,
};

/* --- the provider --- */

/* Where LMDB keeps what the simulated machine calls `dir`. */
static void real_path(const struct machine_snapshots *machine, const char *dir,
                      char path[PATH_MAX]) {
    const char *slash = strrchr(dir, '/');
    snprintf(path, PATH_MAX, "%.*s/%.200s", PATH_MAX - 202, machine->folder,
             slash == NULL ? dir : slash + 1);
}

static enum wf_status machine_open(const struct snapshot_provider *provider, struct io *io,
                                   const char *dir, bool create, bool read_only,
                                   struct snapshot **out, struct wf_error *err) {
    struct machine_snapshots *machine = (struct machine_snapshots *)(uintptr_t)provider;
    struct machine_snapshot *snapshot = sim_allocate(1, sizeof *snapshot);
    const struct snapshot_provider *inner = snapshot_lmdb();
    char path[PATH_MAX];
    if (machine->model != NULL) {
        inner = sim_snapshot_provider(machine->model);
        snprintf(path, sizeof path, "%s", dir);
    } else {
        io = io_posix();
        real_path(machine, dir, path);
        snprintf(snapshot->path, sizeof snapshot->path, "%s/data.mdb", path);
    }
    *out = NULL;
    enum wf_status status = inner->open(inner, io, path, create, read_only, &snapshot->inner, err);
    if (status != WF_OK) {
        free(snapshot);
        return status;
    }
    snapshot->base.ops = &MACHINE_OPS;
    snapshot->machine = machine;
    machine->open_count++;
    *out = &snapshot->base;
    return WF_OK;
}

static enum wf_status machine_set_aside(const struct snapshot_provider *provider, struct io *io,
                                        const char *dir, struct wf_error *err) {
    struct machine_snapshots *machine = (struct machine_snapshots *)(uintptr_t)provider;
    machine->commits++; /* something else is kept now */
    if (machine->model != NULL) {
        const struct snapshot_provider *model = sim_snapshot_provider(machine->model);
        return model->set_aside(model, io, dir, err);
    }
    char path[PATH_MAX];
    real_path(machine, dir, path);
    return snapshot_lmdb()->set_aside(snapshot_lmdb(), io_posix(), path, err);
}

/* --- machines --- */

static struct machine_snapshots *make(void) {
    struct machine_snapshots *snapshots = sim_allocate(1, sizeof *snapshots);
    snapshots->provider =
        (struct snapshot_provider){.open = machine_open, .set_aside = machine_set_aside};
    return snapshots;
}

static struct machine_snapshots *make_lmdb(const char *parent) {
    struct machine_snapshots *snapshots = make();
    snprintf(snapshots->parent, sizeof snapshots->parent, "%s", parent);
    snprintf(snapshots->folder, sizeof snapshots->folder, "%.*s/XXXXXX", PATH_MAX - 10, parent);
    require(mkdtemp(snapshots->folder) != NULL, snapshots->folder);
    return snapshots;
}

struct machine_snapshots *machine_snapshots_create(const char *folder) {
    if (folder != NULL)
        return make_lmdb(folder);
    struct machine_snapshots *snapshots = make();
    snapshots->model = sim_snapshot_create();
    require(snapshots->model != NULL, "a model of snapshots");
    return snapshots;
}

void machine_snapshots_destroy(struct machine_snapshots *snapshots) {
    if (snapshots == NULL)
        return;
    if (snapshots->model != NULL) {
        sim_snapshot_destroy(snapshots->model);
    } else {
        each_snapshot(snapshots->folder, NULL);
        require(rmdir(snapshots->folder) == 0, snapshots->folder);
    }
    free(snapshots);
}

const struct snapshot_provider *machine_snapshots_provider(struct machine_snapshots *snapshots) {
    return &snapshots->provider;
}

void machine_snapshots_on_commit(struct machine_snapshots *snapshots, machine_commit_fn on_commit,
                                 void *ctx) {
    snapshots->on_commit = on_commit;
    snapshots->ctx = ctx;
}

struct machine_snapshots *machine_snapshots_survivor(struct machine_snapshots *snapshots,
                                                     uint64_t random) {
    struct machine_snapshots *survivor;
    if (snapshots->model != NULL) {
        survivor = make();
        survivor->model = sim_snapshot_survivor(snapshots->model);
        require(survivor->model != NULL, "a model of snapshots");
    } else {
        survivor = make_lmdb(snapshots->parent);
        each_snapshot(snapshots->folder, survivor->folder);
    }
    if (snapshots->torn != 0) {
        char path[2 * PATH_MAX];
        snprintf(path, sizeof path, "%s%s", survivor->folder,
                 snapshots->torn_path + strlen(snapshots->folder));
        write_torn(snapshots, path, random);
        snapshots->torn++;
    }
    survivor->commits = snapshots->commits;
    return survivor;
}

uint64_t machine_snapshots_digest(struct machine_snapshots *snapshots) {
    return sim_random_mix(snapshots->commits, snapshots->torn);
}

struct sim_snapshots *machine_snapshots_model(struct machine_snapshots *snapshots) {
    return snapshots->model;
}

bool machine_snapshots_damage(struct machine_snapshots *snapshots, const char *dir,
                              uint64_t random) {
    snapshots->commits++;
    if (snapshots->model != NULL)
        return sim_snapshot_damage(snapshots->model, dir);
    char folder[PATH_MAX], path[PATH_MAX + 16];
    real_path(snapshots, dir, folder);
    snprintf(path, sizeof path, "%s/data.mdb", folder);
    struct file_bytes bytes;
    if (!read_file(path, &bytes))
        return false;
    if (random % 3 == 0)
        bytes.size = (size_t)(sim_random_next(&random) % bytes.size);
    for (int i = 0; random % 3 != 0 && i < 64; i++)
        bytes.data[sim_random_next(&random) % bytes.size] ^= (uint8_t)(1 + i);
    write_file(path, &bytes);
    free_bytes(&bytes);
    return true;
}

size_t machine_snapshots_open_count(struct machine_snapshots *snapshots) {
    return snapshots->open_count;
}
