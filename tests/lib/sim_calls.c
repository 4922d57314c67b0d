/* The calls of the I/O seam on a simulated machine. Each enters (boundary, death, planned fault,
 * lock), does its work on the disk's cache, and leaves (trace, unlock). */
#include "tests/lib/sim_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A call under way: what the trace records, and the fault that it meets (NULL: none). */
struct doing {
    struct sim_io *sim;
    struct sim_call call;
    const struct sim_fault *fault;
    struct wf_error *err;
};

static struct sim_io *machine_of(struct io *io) {
    return (struct sim_io *)io;
}

static struct doing on_path(struct io *io, enum sim_op op, const char *path, struct wf_error *err) {
    return (struct doing){
        .sim = machine_of(io), .call = {.op = op, .path = path, .to = ""}, .err = err};
}

static struct doing on_file(struct io_file *file, enum sim_op op, uint64_t offset, uint64_t size,
                            struct wf_error *err) {
    return (struct doing){.sim = file->sim,
                          .call = {.op = op,
                                   .handle = file->number,
                                   .path = sim_name_text(file->path),
                                   .to = "",
                                   .offset = offset,
                                   .size = size},
                          .err = err};
}

static enum wf_status fail(const struct doing *doing, enum wf_status status, const char *reason) {
    return error_set(doing->err, status, "%s %s: %s", sim_op_name(doing->call.op), doing->call.path,
                     reason);
}

/* Number the call as a boundary and let the hook see the disk before it. */
static void cross_boundary(struct sim_io *sim) {
    pthread_mutex_lock(&sim->mutex);
    uint64_t boundary = sim->dead ? 0 : ++sim->boundaries;
    sim->dead = sim->dead || (sim->stop_at != 0 && sim->boundaries >= sim->stop_at);
    sim_boundary_fn hook = sim->dead ? NULL : sim->on_boundary;
    void *ctx = sim->hook_ctx;
    pthread_mutex_unlock(&sim->mutex);
    if (hook != NULL) {
        hook(ctx, sim, boundary);
    }
}

/* Begin a call and take the lock. WF_OK: go on, with the fault's particulars in doing->fault. */
static enum wf_status enter(struct doing *doing, bool is_boundary) {
    struct sim_io *sim = doing->sim;
    if (is_boundary) {
        cross_boundary(sim);
    }
    pthread_mutex_lock(&sim->mutex);
    if (!sim->dead) {
        doing->fault = sim_faults_match(&sim->faults, doing->call.op, doing->call.path);
        sim->dead = doing->fault != NULL && doing->fault->kind == SIM_FAULT_DEATH;
    }
    return sim->dead ? fail(doing, WF_IO, "the process is dead") : WF_OK;
}

static bool meets(const struct doing *doing, enum sim_fault_kind kind) {
    return doing->fault != NULL && doing->fault->kind == kind;
}

/* The status of a planned failure, WF_OK where none is planned. */
static enum wf_status planned(const struct doing *doing) {
    if (meets(doing, SIM_FAULT_EIO)) {
        return fail(doing, WF_IO, "input/output error (planned)");
    }
    if (meets(doing, SIM_FAULT_FULL)) {
        return fail(doing, WF_FULL, "no space left on device (planned)");
    }
    return WF_OK;
}

/* enter(), for a call that a planned failure leaves without effect. */
static enum wf_status enter_whole(struct doing *doing, bool is_boundary) {
    enum wf_status status = enter(doing, is_boundary);
    return status == WF_OK ? planned(doing) : status;
}

static enum wf_status leave(struct doing *doing, enum wf_status status) {
    struct sim_io *sim = doing->sim;
    doing->call.status = status;
    sim_trace_add(sim, &doing->call);
    pthread_mutex_unlock(&sim->mutex);
    return status;
}

static struct sim_node *node_of(const struct io_file *file) {
    return &file->sim->disk.nodes[file->node];
}

/* --- open files --- */

/* The node that an open of `path` means, made where `flags` say so. */
static enum wf_status find_or_make(struct doing *doing, const char *path, unsigned flags,
                                   uint32_t *node) {
    struct sim_disk *disk = &doing->sim->disk;
    if (sim_disk_find(disk, path, node)) {
        if (disk->nodes[*node].kind != IO_REGULAR) {
            return fail(doing, WF_IO, "is a directory");
        }
        bool refuses = (flags & IO_CREATE) != 0 && (flags & IO_EXCLUSIVE) != 0;
        return refuses ? fail(doing, WF_REFUSED, "file exists") : WF_OK;
    }
    uint32_t directory;
    const char *name;
    size_t size;
    if ((flags & IO_CREATE) == 0 || !sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        return fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    *node = sim_disk_make(disk, directory, name, size, IO_REGULAR);
    return WF_OK;
}

static enum wf_status call_open(struct io *io, const char *path, unsigned flags,
                                struct io_file **out, struct wf_error *err) {
    struct doing doing = on_path(io, SIM_OPEN, path, err);
    struct sim_io *sim = doing.sim;
    uint32_t node = 0;
    *out = NULL;
    enum wf_status status = enter_whole(&doing, (flags & IO_CREATE) != 0);
    if (status == WF_OK) {
        status = find_or_make(&doing, path, flags, &node);
    }
    if (status == WF_OK) {
        struct io_file *file = sim_allocate(1, sizeof *file);
        *file = (struct io_file){.sim = sim, .node = node, .flags = flags, .next = sim->files};
        file->path = sim_name_make(path, strlen(path));
        file->number = ++sim->opened;
        sim->files = file;
        sim->disk.nodes[node].handles++;
        doing.call.handle = file->number;
        *out = file;
    }
    return leave(&doing, status);
}

static void call_close(struct io *io, struct io_file *file) {
    if (file == NULL) {
        return;
    }
    assert(machine_of(io) == file->sim);
    struct sim_io *sim = file->sim;
    struct doing doing = on_file(file, SIM_CLOSE, 0, 0, NULL);
    pthread_mutex_lock(&sim->mutex); /* not enter(): the dead let go of their handles too */
    struct io_file **at = &sim->files;
    while (*at != file) {
        at = &(*at)->next;
    }
    *at = file->next;
    node_of(file)->handles--;
    leave(&doing, WF_OK);
    sim_name_release(file->path);
    free(file);
}

static enum wf_status call_size(struct io *io, struct io_file *file, uint64_t *size_out,
                                struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_SIZE, 0, 0, err);
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK) {
        *size_out = node_of(file)->cached.size;
    }
    return leave(&doing, status);
}

/* How many bytes a short read or write of `size` moves. */
static size_t shortened(const struct doing *doing, size_t size) {
    if (!meets(doing, SIM_FAULT_SHORT)) {
        return size;
    }
    uint64_t amount = doing->fault->amount == 0 ? size / 2 : doing->fault->amount;
    return amount < size ? (size_t)amount : size;
}

static enum wf_status call_read(struct io *io, struct io_file *file, uint64_t offset, void *data,
                                size_t size, size_t *got, struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_READ, offset, size, err);
    *got = 0;
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK) {
        *got = sim_content_read(&node_of(file)->cached, offset, data, shortened(&doing, size));
    }
    if (status == WF_OK && meets(&doing, SIM_FAULT_FLIP) && doing.fault->amount < *got) {
        ((uint8_t *)data)[doing.fault->amount] ^= 0x10;
    }
    return leave(&doing, status);
}

/* What the disk does with bytes that the cache accepts. */
static void put_bytes(const struct doing *doing, uint32_t node, uint64_t offset, const void *data,
                      size_t size) {
    struct sim_disk *disk = &doing->sim->disk;
    if (meets(doing, SIM_FAULT_LOST)) {
        sim_disk_write_lost(disk, node, offset, data, size);
        return;
    }
    if (!meets(doing, SIM_FAULT_MISDIRECT)) {
        sim_disk_write(disk, node, offset, data, size, NULL);
        return;
    }
    struct sim_astray astray = {.node = node, .shift_sectors = doing->fault->shift_sectors};
    uint32_t victim;
    if (doing->fault->victim != NULL && sim_disk_find(disk, doing->fault->victim, &victim)) {
        astray.node = victim;
    }
    sim_disk_write(disk, node, offset, data, size, &astray);
}

static enum wf_status call_write(struct io *io, struct io_file *file, uint64_t offset,
                                 const void *data, size_t size, size_t *put, struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_WRITE, offset, size, err);
    struct sim_disk *disk = &file->sim->disk;
    *put = 0;
    enum wf_status status = enter(&doing, true);
    if (status == WF_OK && (file->flags & IO_WRITE) == 0) {
        status = fail(&doing, WF_IO, "not open for writing");
    }
    if (status != WF_OK) {
        return leave(&doing, status);
    }
    status = planned(&doing);
    if (status != WF_OK) {
        /* A failed write may have moved some bytes all the same. */
        size_t left = doing.fault->amount < size ? (size_t)doing.fault->amount : size;
        put_bytes(&doing, file->node, offset, data,
                  sim_disk_fitting(disk, file->node, offset, left));
        return leave(&doing, status);
    }
    size_t fitting = sim_disk_fitting(disk, file->node, offset, shortened(&doing, size));
    if (fitting == 0 && size > 0) {
        return leave(&doing, fail(&doing, WF_FULL, "no space left on device"));
    }
    put_bytes(&doing, file->node, offset, data, fitting);
    *put = fitting;
    return leave(&doing, WF_OK);
}

static enum wf_status sync_node(struct doing *doing, uint32_t node) {
    struct sim_disk *disk = &doing->sim->disk;
    enum wf_status status = planned(doing);
    if (status != WF_OK) {
        sim_disk_sync_failed(disk, node, (size_t)doing->fault->amount);
    } else if (!meets(doing, SIM_FAULT_LOST)) {
        sim_disk_sync(disk, node);
    }
    return status;
}

static enum wf_status call_sync(struct io *io, struct io_file *file, struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_SYNC, 0, 0, err);
    enum wf_status status = enter(&doing, true);
    if (status == WF_OK) {
        status = sync_node(&doing, file->node);
    }
    return leave(&doing, status);
}

/* Give the file this size, if it may be written and there is space. */
static enum wf_status resize(const struct doing *doing, const struct io_file *file, uint64_t size) {
    struct sim_disk *disk = &file->sim->disk;
    uint64_t before = node_of(file)->cached.size;
    if ((file->flags & IO_WRITE) == 0) {
        return fail(doing, WF_IO, "not open for writing");
    }
    if (size > before &&
        (size > SIM_FILE_SIZE_MAX ||
         sim_disk_fitting(disk, file->node, before, (size_t)(size - before)) < size - before)) {
        return fail(doing, WF_FULL, "no space left on device");
    }
    sim_disk_resize(disk, file->node, size);
    return WF_OK;
}

static enum wf_status call_truncate(struct io *io, struct io_file *file, uint64_t size,
                                    struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_TRUNCATE, 0, size, err);
    enum wf_status status = enter_whole(&doing, true);
    if (status == WF_OK && !meets(&doing, SIM_FAULT_LOST)) {
        status = resize(&doing, file, size);
    }
    return leave(&doing, status);
}

static enum wf_status call_preallocate(struct io *io, struct io_file *file, uint64_t size,
                                       struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_PREALLOCATE, 0, size, err);
    enum wf_status status = enter_whole(&doing, true);
    if (status == WF_OK && file->sim->preallocates && size > node_of(file)->cached.size) {
        status = resize(&doing, file, size);
    }
    return leave(&doing, status);
}

/* Does another handle hold the lock of the same file? */
static bool is_held(const struct io_file *file) {
    for (const struct io_file *other = file->sim->files; other != NULL; other = other->next) {
        if (other != file && other->node == file->node && other->locks) {
            return true;
        }
    }
    return false;
}

static enum wf_status call_lock(struct io *io, struct io_file *file, struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_LOCK, 0, 0, err);
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK && is_held(file)) {
        status = fail(&doing, WF_LOCKED, "locked by another handle");
    }
    if (status == WF_OK) {
        file->locks = true;
    }
    return leave(&doing, status);
}

static enum wf_status call_is_locked(struct io *io, struct io_file *file, bool *locked,
                                     struct wf_error *err) {
    (void)io;
    struct doing doing = on_file(file, SIM_IS_LOCKED, 0, 0, err);
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK) {
        *locked = is_held(file);
    }
    return leave(&doing, status);
}

/* --- names --- */

static enum wf_status call_stat(struct io *io, const char *path, enum io_kind *kind, uint64_t *size,
                                struct wf_error *err) {
    struct doing doing = on_path(io, SIM_STAT, path, err);
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK) {
        struct sim_disk *disk = &doing.sim->disk;
        uint32_t node;
        bool found = sim_disk_find(disk, path, &node);
        *kind = found ? disk->nodes[node].kind : IO_MISSING;
        if (size != NULL) {
            *size = found ? disk->nodes[node].cached.size : 0;
        }
    }
    return leave(&doing, status);
}

/* The node of a directory that is there. */
static enum wf_status find_directory(const struct doing *doing, const char *path, uint32_t *node) {
    if (!sim_disk_find(&doing->sim->disk, path, node)) {
        return fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    if (doing->sim->disk.nodes[*node].kind != IO_DIRECTORY) {
        return fail(doing, WF_IO, "not a directory");
    }
    return WF_OK;
}

static enum wf_status call_list(struct io *io, const char *path, io_name_fn on_name, void *ctx,
                                struct wf_error *err) {
    struct doing doing = on_path(io, SIM_LIST, path, err);
    const struct sim_entries *entries = &doing.sim->disk.cached;
    struct sim_name **names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    uint32_t node = 0;
    enum wf_status status = enter_whole(&doing, false);
    if (status == WF_OK) {
        status = find_directory(&doing, path, &node);
    }
    for (size_t i = 0; status == WF_OK && i < entries->count; i++) {
        if (entries->all[i].directory == node) {
            names = sim_grow(names, count, &capacity, sizeof *names);
            names[count++] = sim_name_share(entries->all[i].name);
        }
    }
    leave(&doing, status);
    /* Without the lock: the callback may do I/O of its own. */
    bool goes_on = true;
    for (size_t i = 0; i < count; i++) {
        goes_on = goes_on && on_name(ctx, sim_name_text(names[i]));
        sim_name_release(names[i]);
    }
    free(names);
    return status;
}

static enum wf_status call_make_directory(struct io *io, const char *path, struct wf_error *err) {
    struct doing doing = on_path(io, SIM_MAKE_DIRECTORY, path, err);
    struct sim_disk *disk = &doing.sim->disk;
    uint32_t directory;
    const char *name;
    size_t size;
    enum wf_status status = enter_whole(&doing, true);
    if (status != WF_OK) {
        return leave(&doing, status);
    }
    if (sim_disk_find(disk, path, &directory)) {
        return leave(&doing, fail(&doing, WF_REFUSED, "file exists"));
    }
    if (!sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        return leave(&doing, fail(&doing, WF_NOT_FOUND, "no such file or directory"));
    }
    sim_disk_make(disk, directory, name, size, IO_DIRECTORY);
    return leave(&doing, WF_OK);
}

/* The entry of a path, NULL (and the failure in `status`) where there is none. */
static const struct sim_entry *find_entry(const struct doing *doing, const char *path,
                                          enum wf_status *status) {
    const struct sim_disk *disk = &doing->sim->disk;
    const struct sim_entry *entry = NULL;
    uint32_t directory;
    const char *name;
    size_t size;
    if (sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        entry = sim_disk_entry(disk, directory, name, size);
    }
    if (entry == NULL) {
        *status = fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    return entry;
}

static enum wf_status rename_entry(const struct doing *doing, const char *from, const char *to) {
    struct sim_disk *disk = &doing->sim->disk;
    enum wf_status status = WF_OK;
    const struct sim_entry *entry = find_entry(doing, from, &status);
    if (entry == NULL) {
        return status;
    }
    uint32_t directory;
    const char *name;
    size_t size;
    if (!sim_disk_find_parent(disk, to, &directory, &name, &size)) {
        return fail(doing, WF_NOT_FOUND, "no such directory to rename to");
    }
    const struct sim_entry *target = sim_disk_entry(disk, directory, name, size);
    if (target == entry) {
        return WF_OK;
    }
    if (target != NULL && (disk->nodes[target->node].kind != IO_REGULAR ||
                           disk->nodes[entry->node].kind != IO_REGULAR)) {
        return fail(doing, WF_IO, "a directory is in the way");
    }
    sim_disk_rename(disk, entry, directory, name, size);
    return WF_OK;
}

static enum wf_status call_rename(struct io *io, const char *from, const char *to,
                                  struct wf_error *err) {
    struct doing doing = on_path(io, SIM_RENAME, from, err);
    doing.call.to = to;
    enum wf_status status = enter_whole(&doing, true);
    if (status == WF_OK && !meets(&doing, SIM_FAULT_LOST)) {
        status = rename_entry(&doing, from, to);
    }
    return leave(&doing, status);
}

static enum wf_status call_remove(struct io *io, const char *path, struct wf_error *err) {
    struct doing doing = on_path(io, SIM_REMOVE, path, err);
    struct sim_disk *disk = &doing.sim->disk;
    enum wf_status status = enter_whole(&doing, true);
    if (status != WF_OK || meets(&doing, SIM_FAULT_LOST)) {
        return leave(&doing, status);
    }
    const struct sim_entry *entry = find_entry(&doing, path, &status);
    if (entry != NULL && disk->nodes[entry->node].kind != IO_REGULAR) {
        status = fail(&doing, WF_IO, "is a directory");
    } else if (entry != NULL) {
        sim_disk_remove(disk, entry);
    }
    return leave(&doing, status);
}

static enum wf_status call_sync_directory(struct io *io, const char *path, struct wf_error *err) {
    struct doing doing = on_path(io, SIM_SYNC_DIRECTORY, path, err);
    uint32_t node;
    enum wf_status status = enter(&doing, true);
    if (status == WF_OK) {
        status = find_directory(&doing, path, &node);
    }
    if (status == WF_OK) {
        status = sync_node(&doing, node);
    }
    return leave(&doing, status);
}

/* --- the machine --- */

static int64_t call_time_ms(struct io *io) {
    struct sim_io *sim = machine_of(io);
    pthread_mutex_lock(&sim->mutex);
    int64_t time_ms = sim->time_ms;
    pthread_mutex_unlock(&sim->mutex);
    return time_ms;
}

static uint64_t call_monotonic_ns(struct io *io) {
    struct sim_io *sim = machine_of(io);
    pthread_mutex_lock(&sim->mutex);
    uint64_t now_ns = sim->monotonic_ns += 1000; /* so that durations are never 0 */
    pthread_mutex_unlock(&sim->mutex);
    return now_ns;
}

static enum wf_status call_random(struct io *io, void *data, size_t size, struct wf_error *err) {
    struct doing doing = on_path(io, SIM_RANDOM, "", err);
    uint8_t *at = data;
    enum wf_status status = enter_whole(&doing, false);
    for (size_t i = 0; status == WF_OK && i < size; i++) {
        at[i] = (uint8_t)(sim_random_next(&doing.sim->random) >> 32);
    }
    return leave(&doing, status);
}

static void call_point(struct io *io, const char *name) {
    struct doing doing = on_path(io, SIM_POINT, name, NULL);
    leave(&doing, enter(&doing, false));
}

const struct io_ops sim_io_ops = {
    .open = call_open,
    .close = call_close,
    .size = call_size,
    .read = call_read,
    .write = call_write,
    .sync = call_sync,
    .truncate = call_truncate,
    .preallocate = call_preallocate,
    .lock = call_lock,
    .is_locked = call_is_locked,
    .stat = call_stat,
    .list = call_list,
    .make_directory = call_make_directory,
    .rename = call_rename,
    .remove = call_remove,
    .sync_directory = call_sync_directory,
    .time_ms = call_time_ms,
    .monotonic_ns = call_monotonic_ns,
    .random = call_random,
    .point = call_point,
};
