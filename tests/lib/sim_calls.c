/* The calls of the I/O seam on open files of a simulated machine, on its clock and its randomness.
 */
#include "tests/lib/sim_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct sim_node *node_of(const struct io_file *file) {
    return &file->sim->disk.nodes[file->node];
}

/* --- open files --- */

/* The node that an open of `path` means, made where `flags` say so. */
static enum wf_status find_or_make(struct sim_doing *doing, const char *path, unsigned flags,
                                   uint32_t *node) {
    struct sim_disk *disk = &doing->sim->disk;
    if (sim_disk_find(disk, path, node)) {
        if (disk->nodes[*node].kind != IO_REGULAR) {
            return sim_fail(doing, WF_IO, "is a directory");
        }
        bool refuses = (flags & IO_CREATE) != 0 && (flags & IO_EXCLUSIVE) != 0;
        return refuses ? sim_fail(doing, WF_REFUSED, "file exists") : WF_OK;
    }
    uint32_t directory;
    const char *name;
    size_t size;
    if ((flags & IO_CREATE) == 0 || !sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        return sim_fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    *node = sim_disk_make(disk, directory, name, size, IO_REGULAR);
    return WF_OK;
}

static enum wf_status call_open(struct io *io, const char *path, unsigned flags,
                                struct io_file **out, struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_OPEN, path, err);
    struct sim_io *sim = doing.sim;
    uint32_t node = 0;
    *out = NULL;
    enum wf_status status = sim_enter_whole(&doing, (flags & IO_CREATE) != 0);
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
    return sim_leave(&doing, status);
}

static void call_close(struct io *io, struct io_file *file) {
    if (file == NULL) {
        return;
    }
    assert(sim_machine_of(io) == file->sim);
    struct sim_io *sim = file->sim;
    struct sim_doing doing = sim_on_file(file, SIM_CLOSE, 0, 0, NULL);
    pthread_mutex_lock(&sim->mutex); /* not sim_enter(): the dead let go of their handles too */
    struct io_file **at = &sim->files;
    while (*at != file) {
        at = &(*at)->next;
    }
    *at = file->next;
    node_of(file)->handles--;
    sim_leave(&doing, WF_OK);
    sim_name_release(file->path);
    free(file);
}

static enum wf_status call_size(struct io *io, struct io_file *file, uint64_t *size_out,
                                struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_SIZE, 0, 0, err);
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK) {
        *size_out = node_of(file)->cached.size;
    }
    return sim_leave(&doing, status);
}

/* How many bytes a short read or write of `size` moves. */
static size_t shortened(const struct sim_doing *doing, size_t size) {
    if (!sim_meets(doing, SIM_FAULT_SHORT)) {
        return size;
    }
    uint64_t amount = doing->fault->amount == 0 ? size / 2 : doing->fault->amount;
    return amount < size ? (size_t)amount : size;
}

static enum wf_status call_read(struct io *io, struct io_file *file, uint64_t offset, void *data,
                                size_t size, size_t *got, struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_READ, offset, size, err);
    *got = 0;
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK) {
        *got = sim_content_read(&node_of(file)->cached, offset, data, shortened(&doing, size));
    }
    if (status == WF_OK && sim_meets(&doing, SIM_FAULT_FLIP) && doing.fault->amount < *got) {
        ((uint8_t *)data)[doing.fault->amount] ^= 0x10;
    }
    return sim_leave(&doing, status);
}

/* What the disk does with bytes that the cache accepts. */
static void put_bytes(const struct sim_doing *doing, uint32_t node, uint64_t offset,
                      const void *data, size_t size) {
    struct sim_disk *disk = &doing->sim->disk;
    if (sim_meets(doing, SIM_FAULT_LOST)) {
        sim_disk_write_lost(disk, node, offset, data, size);
        return;
    }
    if (!sim_meets(doing, SIM_FAULT_MISDIRECT)) {
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
    struct sim_doing doing = sim_on_file(file, SIM_WRITE, offset, size, err);
    struct sim_disk *disk = &file->sim->disk;
    *put = 0;
    enum wf_status status = sim_enter(&doing, true);
    if (status == WF_OK && (file->flags & IO_WRITE) == 0) {
        status = sim_fail(&doing, WF_IO, "not open for writing");
    }
    if (status != WF_OK) {
        return sim_leave(&doing, status);
    }
    status = sim_planned(&doing);
    if (status != WF_OK) {
        /* A failed write may have moved some bytes all the same. */
        size_t left = doing.fault->amount < size ? (size_t)doing.fault->amount : size;
        put_bytes(&doing, file->node, offset, data,
                  sim_disk_fitting(disk, file->node, offset, left));
        return sim_leave(&doing, status);
    }
    size_t fitting = sim_disk_fitting(disk, file->node, offset, shortened(&doing, size));
    if (fitting == 0 && size > 0) {
        return sim_leave(&doing, sim_fail(&doing, WF_FULL, "no space left on device"));
    }
    put_bytes(&doing, file->node, offset, data, fitting);
    *put = fitting;
    return sim_leave(&doing, WF_OK);
}

static enum wf_status call_sync(struct io *io, struct io_file *file, struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_SYNC, 0, 0, err);
    enum wf_status status = sim_enter(&doing, true);
    if (status == WF_OK) {
        status = sim_sync_node(&doing, file->node);
    }
    return sim_leave(&doing, status);
}

/* Give the file this size, if it may be written and there is space. */
static enum wf_status resize(const struct sim_doing *doing, const struct io_file *file,
                             uint64_t size) {
    struct sim_disk *disk = &file->sim->disk;
    uint64_t before = node_of(file)->cached.size;
    if ((file->flags & IO_WRITE) == 0) {
        return sim_fail(doing, WF_IO, "not open for writing");
    }
    if (size > before &&
        (size > SIM_FILE_SIZE_MAX ||
         sim_disk_fitting(disk, file->node, before, (size_t)(size - before)) < size - before)) {
        return sim_fail(doing, WF_FULL, "no space left on device");
    }
    sim_disk_resize(disk, file->node, size);
    return WF_OK;
}

static enum wf_status call_truncate(struct io *io, struct io_file *file, uint64_t size,
                                    struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_TRUNCATE, 0, size, err);
    enum wf_status status = sim_enter_whole(&doing, true);
    if (status == WF_OK && !sim_meets(&doing, SIM_FAULT_LOST)) {
        status = resize(&doing, file, size);
    }
    return sim_leave(&doing, status);
}

static enum wf_status call_preallocate(struct io *io, struct io_file *file, uint64_t size,
                                       struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_PREALLOCATE, 0, size, err);
    enum wf_status status = sim_enter_whole(&doing, true);
    if (status == WF_OK && file->sim->preallocates && size > node_of(file)->cached.size) {
        status = resize(&doing, file, size);
    }
    return sim_leave(&doing, status);
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
    struct sim_doing doing = sim_on_file(file, SIM_LOCK, 0, 0, err);
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK && is_held(file)) {
        status = sim_fail(&doing, WF_LOCKED, "locked by another handle");
    }
    if (status == WF_OK) {
        file->locks = true;
    }
    return sim_leave(&doing, status);
}

static enum wf_status call_is_locked(struct io *io, struct io_file *file, bool *locked,
                                     struct wf_error *err) {
    (void)io;
    struct sim_doing doing = sim_on_file(file, SIM_IS_LOCKED, 0, 0, err);
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK) {
        *locked = is_held(file);
    }
    return sim_leave(&doing, status);
}

/* --- the machine --- */

static int64_t call_time_ms(struct io *io) {
    struct sim_io *sim = sim_machine_of(io);
    pthread_mutex_lock(&sim->mutex);
    int64_t time_ms = sim->time_ms;
    pthread_mutex_unlock(&sim->mutex);
    return time_ms;
}

static uint64_t call_monotonic_ns(struct io *io) {
    struct sim_io *sim = sim_machine_of(io);
    pthread_mutex_lock(&sim->mutex);
    uint64_t now_ns = sim->monotonic_ns += 1000; /* so that durations are never 0 */
    pthread_mutex_unlock(&sim->mutex);
    return now_ns;
}

static enum wf_status call_random(struct io *io, void *data, size_t size, struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_RANDOM, "", err);
    uint8_t *at = data;
    enum wf_status status = sim_enter_whole(&doing, false);
    for (size_t i = 0; status == WF_OK && i < size; i++) {
        at[i] = (uint8_t)(sim_random_next(&doing.sim->random) >> 32);
    }
    return sim_leave(&doing, status);
}

static void call_point(struct io *io, const char *name) {
    struct sim_doing doing = sim_on_path(io, SIM_POINT, name, NULL);
    sim_leave(&doing, sim_enter(&doing, false));
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
    .stat = sim_call_stat,
    .list = sim_call_list,
    .make_directory = sim_call_make_directory,
    .rename = sim_call_rename,
    .remove = sim_call_remove,
    .sync_directory = sim_call_sync_directory,
    .time_ms = call_time_ms,
    .monotonic_ns = call_monotonic_ns,
    .random = call_random,
    .point = call_point,
};
