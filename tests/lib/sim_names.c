/* The calls of the I/O seam that take a path: names, directories. Opening stands in sim_calls.c. */
#include "tests/lib/sim_state.h"

#include <stdlib.h>

enum wf_status sim_call_stat(struct io *io, const char *path, enum io_kind *kind, uint64_t *size,
                             struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_STAT, path, err);
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK) {
        struct sim_disk *disk = &doing.sim->disk;
        uint32_t node;
        bool found = sim_disk_find(disk, path, &node);
        *kind = found ? disk->nodes[node].kind : IO_MISSING;
        if (size != NULL) {
            *size = found ? disk->nodes[node].cached.size : 0;
        }
    }
    return sim_leave(&doing, status);
}

/* The node of a directory that is there. */
static enum wf_status find_directory(const struct sim_doing *doing, const char *path,
                                     uint32_t *node) {
    if (!sim_disk_find(&doing->sim->disk, path, node)) {
        return sim_fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    if (doing->sim->disk.nodes[*node].kind != IO_DIRECTORY) {
        return sim_fail(doing, WF_IO, "not a directory");
    }
    return WF_OK;
}

enum wf_status sim_call_list(struct io *io, const char *path, io_name_fn on_name, void *ctx,
                             struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_LIST, path, err);
    const struct sim_entries *entries = &doing.sim->disk.cached;
    struct sim_name **names = NULL;
    size_t count = 0;
    size_t capacity = 0;
    uint32_t node = 0;
    enum wf_status status = sim_enter_whole(&doing, false);
    if (status == WF_OK) {
        status = find_directory(&doing, path, &node);
    }
    for (size_t i = 0; status == WF_OK && i < entries->count; i++) {
        if (entries->all[i].directory == node) {
            names = sim_grow(names, count, &capacity, sizeof *names);
            names[count++] = sim_name_share(entries->all[i].name);
        }
    }
    sim_leave(&doing, status);
    /* Without the lock: the callback may do I/O of its own. */
    bool goes_on = true;
    for (size_t i = 0; i < count; i++) {
        goes_on = goes_on && on_name(ctx, sim_name_text(names[i]));
        sim_name_release(names[i]);
    }
    free(names);
    return status;
}

enum wf_status sim_call_make_directory(struct io *io, const char *path, struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_MAKE_DIRECTORY, path, err);
    struct sim_disk *disk = &doing.sim->disk;
    uint32_t directory;
    const char *name;
    size_t size;
    enum wf_status status = sim_enter_whole(&doing, true);
    if (status != WF_OK) {
        return sim_leave(&doing, status);
    }
    if (sim_disk_find(disk, path, &directory)) {
        return sim_leave(&doing, sim_fail(&doing, WF_REFUSED, "file exists"));
    }
    if (!sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        return sim_leave(&doing, sim_fail(&doing, WF_NOT_FOUND, "no such file or directory"));
    }
    sim_disk_make(disk, directory, name, size, IO_DIRECTORY);
    return sim_leave(&doing, WF_OK);
}

/* The entry of a path, NULL (and the failure in `status`) where there is none. */
static const struct sim_entry *find_entry(const struct sim_doing *doing, const char *path,
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
        *status = sim_fail(doing, WF_NOT_FOUND, "no such file or directory");
    }
    return entry;
}

static enum wf_status rename_entry(const struct sim_doing *doing, const char *from,
                                   const char *to) {
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
        return sim_fail(doing, WF_NOT_FOUND, "no such directory to rename to");
    }
    const struct sim_entry *target = sim_disk_entry(disk, directory, name, size);
    if (target == entry) {
        return WF_OK;
    }
    if (target != NULL && (disk->nodes[target->node].kind != IO_REGULAR ||
                           disk->nodes[entry->node].kind != IO_REGULAR)) {
        return sim_fail(doing, WF_IO, "a directory is in the way");
    }
    sim_disk_rename(disk, entry, directory, name, size);
    return WF_OK;
}

enum wf_status sim_call_rename(struct io *io, const char *from, const char *to,
                               struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_RENAME, from, err);
    doing.call.to = to;
    enum wf_status status = sim_enter_whole(&doing, true);
    if (status == WF_OK && !sim_meets(&doing, SIM_FAULT_LOST)) {
        status = rename_entry(&doing, from, to);
    }
    return sim_leave(&doing, status);
}

static bool has_entries(const struct sim_disk *disk, uint32_t directory) {
    for (size_t i = 0; i < disk->cached.count; i++) {
        if (disk->cached.all[i].directory == directory) {
            return true;
        }
    }
    return false;
}

enum wf_status sim_call_remove(struct io *io, const char *path, struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_REMOVE, path, err);
    struct sim_disk *disk = &doing.sim->disk;
    enum wf_status status = sim_enter_whole(&doing, true);
    if (status != WF_OK || sim_meets(&doing, SIM_FAULT_LOST)) {
        return sim_leave(&doing, status);
    }
    const struct sim_entry *entry = find_entry(&doing, path, &status);
    if (entry != NULL && disk->nodes[entry->node].kind == IO_DIRECTORY &&
        has_entries(disk, entry->node)) {
        status = sim_fail(&doing, WF_IO, "directory not empty");
    } else if (entry != NULL) {
        sim_disk_remove(disk, entry);
    }
    return sim_leave(&doing, status);
}

enum wf_status sim_call_sync_directory(struct io *io, const char *path, struct wf_error *err) {
    struct sim_doing doing = sim_on_path(io, SIM_SYNC_DIRECTORY, path, err);
    uint32_t node;
    enum wf_status status = sim_enter(&doing, true);
    if (status == WF_OK) {
        status = find_directory(&doing, path, &node);
    }
    if (status == WF_OK) {
        status = sim_sync_node(&doing, node);
    }
    return sim_leave(&doing, status);
}
