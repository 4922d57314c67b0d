#include "tests/lib/sim_disk.h"

#include "base/table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void entry_deinit(struct sim_entry *entry) {
    sim_name_release(entry->name);
    *entry = (struct sim_entry){0};
}

static struct sim_entry entry_share(const struct sim_entry *entry) {
    return (struct sim_entry){entry->directory, entry->node, sim_name_share(entry->name)};
}

static bool entry_is(const struct sim_entry *entry, uint32_t directory, const char *name,
                     size_t size) {
    const char *text = sim_name_text(entry->name);
    return entry->directory == directory && strncmp(text, name, size) == 0 && text[size] == '\0';
}

static void entries_add(struct sim_entries *entries, const struct sim_entry *entry) {
    entries->all = sim_grow(entries->all, entries->count, &entries->capacity, sizeof *entry);
    entries->all[entries->count++] = entry_share(entry);
}

static const struct sim_entry *entries_find(const struct sim_entries *entries, uint32_t directory,
                                            const char *name, size_t size) {
    for (size_t i = 0; i < entries->count; i++) {
        if (entry_is(&entries->all[i], directory, name, size)) {
            return &entries->all[i];
        }
    }
    return NULL;
}

void sim_entries_remove_at(struct sim_entries *entries, size_t index) {
    entry_deinit(&entries->all[index]);
    entries->all[index] = entries->all[--entries->count];
}

/* Take the name out, whatever (`any`) or only where it names the same node. */
static void entries_remove(struct sim_entries *entries, const struct sim_entry *entry, bool any) {
    const char *name = sim_name_text(entry->name);
    const struct sim_entry *found = entries_find(entries, entry->directory, name, strlen(name));
    if (found != NULL && (any || found->node == entry->node)) {
        sim_entries_remove_at(entries, (size_t)(found - entries->all));
    }
}

static void entries_deinit(struct sim_entries *entries) {
    for (size_t i = 0; i < entries->count; i++) {
        entry_deinit(&entries->all[i]);
    }
    free(entries->all);
    *entries = (struct sim_entries){0};
}

void sim_entries_copy(struct sim_entries *to, const struct sim_entries *from) {
    to->count = from->count;
    to->capacity = from->count;
    to->all = sim_allocate(from->count, sizeof *to->all);
    for (size_t i = 0; i < from->count; i++) {
        to->all[i] = entry_share(&from->all[i]);
    }
}

static void pending_deinit(struct sim_pending *change) {
    sim_sector_release(change->image);
    entry_deinit(&change->from);
    entry_deinit(&change->to);
}

/* Append a change; its shares move into the list. */
static void pend(struct sim_disk *disk, struct sim_pending change) {
    disk->pending =
        sim_grow(disk->pending, disk->pending_count, &disk->pending_capacity, sizeof change);
    disk->pending[disk->pending_count++] = change;
}

void sim_disk_init(struct sim_disk *disk) {
    *disk = (struct sim_disk){.space = UINT64_MAX};
    sim_disk_add_node(disk, IO_DIRECTORY);
    disk->nodes[SIM_ROOT].links = 1;
}

void sim_disk_deinit(struct sim_disk *disk) {
    for (size_t i = 0; i < disk->node_count; i++) {
        sim_content_deinit(&disk->nodes[i].cached);
        sim_content_deinit(&disk->nodes[i].durable);
    }
    free(disk->nodes);
    for (size_t i = 0; i < disk->pending_count; i++) {
        pending_deinit(&disk->pending[i]);
    }
    free(disk->pending);
    entries_deinit(&disk->cached);
    entries_deinit(&disk->durable);
    *disk = (struct sim_disk){0};
}

void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from) {
    *to = (struct sim_disk){.space = from->space};
    to->node_count = to->node_capacity = from->node_count;
    to->nodes = sim_allocate(from->node_count, sizeof *to->nodes);
    for (size_t i = 0; i < from->node_count; i++) {
        to->nodes[i].kind = from->nodes[i].kind;
        to->nodes[i].links = from->nodes[i].links;
        sim_content_copy(&to->nodes[i].cached, &from->nodes[i].cached);
        sim_content_copy(&to->nodes[i].durable, &from->nodes[i].durable);
    }
    sim_entries_copy(&to->cached, &from->cached);
    sim_entries_copy(&to->durable, &from->durable);
    for (size_t i = 0; i < from->pending_count; i++) {
        struct sim_pending change = from->pending[i];
        sim_sector_share(change.image);
        sim_name_share(change.from.name);
        sim_name_share(change.to.name);
        pend(to, change);
    }
}

uint32_t sim_disk_add_node(struct sim_disk *disk, enum io_kind kind) {
    size_t at = 0;
    while (at < disk->node_count && disk->nodes[at].kind != IO_MISSING) {
        at++;
    }
    if (at == disk->node_count) {
        disk->nodes = sim_grow(disk->nodes, at, &disk->node_capacity, sizeof *disk->nodes);
        disk->node_count++;
    }
    disk->nodes[at] = (struct sim_node){.kind = kind};
    return (uint32_t)at;
}

/* --- names --- */

/* The next part of a path behind `*at`, with "." and empty parts skipped. False at its end. */
static bool next_part(const char **at, const char **part, size_t *size) {
    do {
        *at += strspn(*at, "/");
        *part = *at;
        *size = strcspn(*at, "/");
        *at += *size;
    } while (*size == 1 && **part == '.');
    return *size > 0;
}

bool sim_disk_find_parent(const struct sim_disk *disk, const char *path, uint32_t *directory,
                          const char **name, size_t *name_size) {
    *directory = SIM_ROOT;
    if (!next_part(&path, name, name_size)) {
        return false;
    }
    const char *part;
    size_t size;
    while (next_part(&path, &part, &size)) {
        const struct sim_entry *entry = sim_disk_entry(disk, *directory, *name, *name_size);
        if (entry == NULL || disk->nodes[entry->node].kind != IO_DIRECTORY) {
            return false;
        }
        *directory = entry->node;
        *name = part;
        *name_size = size;
    }
    return true;
}

bool sim_disk_find(const struct sim_disk *disk, const char *path, uint32_t *node) {
    uint32_t directory;
    const char *name;
    size_t size;
    if (!sim_disk_find_parent(disk, path, &directory, &name, &size)) {
        *node = SIM_ROOT;
        return size == 0; /* the path had no parts */
    }
    const struct sim_entry *entry = sim_disk_entry(disk, directory, name, size);
    *node = entry == NULL ? SIM_ROOT : entry->node;
    return entry != NULL;
}

const struct sim_entry *sim_disk_entry(const struct sim_disk *disk, uint32_t directory,
                                       const char *name, size_t name_size) {
    return entries_find(&disk->cached, directory, name, name_size);
}

uint32_t sim_disk_make(struct sim_disk *disk, uint32_t directory, const char *name,
                       size_t name_size, enum io_kind kind) {
    uint32_t node = sim_disk_add_node(disk, kind);
    disk->nodes[node].links = 1;
    struct sim_entry entry = {directory, node, sim_name_make(name, name_size)};
    entries_add(&disk->cached, &entry);
    pend(disk, (struct sim_pending){.kind = SIM_PENDING_LINK, .node = node, .to = entry});
    return node;
}

void sim_disk_remove(struct sim_disk *disk, const struct sim_entry *entry) {
    struct sim_entry gone = entry_share(entry);
    disk->nodes[gone.node].links = 0;
    entries_remove(&disk->cached, &gone, true);
    pend(disk, (struct sim_pending){.kind = SIM_PENDING_UNLINK, .node = gone.node, .from = gone});
}

void sim_disk_rename(struct sim_disk *disk, const struct sim_entry *entry, uint32_t directory,
                     const char *name, size_t name_size) {
    struct sim_entry from = entry_share(entry);
    struct sim_entry to = {directory, from.node, sim_name_make(name, name_size)};
    const struct sim_entry *replaced = entries_find(&disk->cached, directory, name, name_size);
    if (replaced != NULL) {
        disk->nodes[replaced->node].links = 0;
    }
    entries_remove(&disk->cached, &from, true);
    entries_remove(&disk->cached, &to, true);
    entries_add(&disk->cached, &to);
    disk->nodes[from.node].links = 1;
    pend(disk, (struct sim_pending){
                   .kind = SIM_PENDING_RENAME, .node = from.node, .from = from, .to = to});
}

/* --- content --- */

static uint64_t whole_sectors(uint64_t size) {
    return (size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE * SIM_SECTOR_SIZE;
}

uint64_t sim_disk_used(const struct sim_disk *disk) {
    uint64_t used = 0;
    for (size_t i = 0; i < disk->node_count; i++) {
        const struct sim_node *node = &disk->nodes[i];
        if (node->links > 0 || node->handles > 0) {
            used += whole_sectors(node->cached.size);
        }
    }
    return used;
}

size_t sim_disk_fitting(const struct sim_disk *disk, uint32_t node, uint64_t offset, size_t size) {
    uint64_t end = SIM_FILE_SIZE_MAX;
    if (disk->space != UINT64_MAX) {
        uint64_t used = sim_disk_used(disk);
        uint64_t free_bytes = disk->space > used ? disk->space - used : 0;
        uint64_t reach = whole_sectors(disk->nodes[node].cached.size) +
                         free_bytes / SIM_SECTOR_SIZE * SIM_SECTOR_SIZE;
        end = reach < end ? reach : end;
    }
    if (offset >= end) {
        return 0;
    }
    return size < end - offset ? size : (size_t)(end - offset);
}

/* Note the new image of each sector that a write of the cached content touched. */
static void pend_sectors(struct sim_disk *disk, uint32_t owner, uint64_t offset, size_t size,
                         const struct sim_astray *aim) {
    for (uint64_t at = offset; at < offset + size;) {
        size_t index = (size_t)(at / SIM_SECTOR_SIZE);
        uint64_t next = (uint64_t)(index + 1) * SIM_SECTOR_SIZE;
        uint64_t end = next < offset + size ? next : offset + size;
        int64_t target = (int64_t)index + aim->shift_sectors;
        struct sim_sector *image = sim_content_sector(&disk->nodes[owner].cached, index);
        pend(disk, (struct sim_pending){
                       .kind = SIM_PENDING_SECTOR,
                       .owner = owner,
                       .node = aim->node,
                       .page = index,
                       .sector = target < 0 ? 0 : (size_t)target,
                       .first = (uint16_t)(at % SIM_SECTOR_SIZE),
                       .end = (uint16_t)(end - (uint64_t)index * SIM_SECTOR_SIZE),
                       .image = sim_sector_share(image),
                   });
        at = end;
    }
}

void sim_disk_write_lost(struct sim_disk *disk, uint32_t node, uint64_t offset, const void *data,
                         size_t size) {
    struct sim_content *cached = &disk->nodes[node].cached;
    uint64_t before = cached->size;
    sim_content_write(cached, offset, data, size);
    if (cached->size != before) {
        pend(disk,
             (struct sim_pending){
                 .kind = SIM_PENDING_SIZE, .owner = node, .node = node, .size = cached->size});
    }
}

void sim_disk_write(struct sim_disk *disk, uint32_t node, uint64_t offset, const void *data,
                    size_t size, const struct sim_astray *astray) {
    struct sim_astray straight = {.node = node};
    /* The size first: then a prefix of the changes may show a file that is longer than its data. */
    sim_disk_write_lost(disk, node, offset, data, size);
    pend_sectors(disk, node, offset, size, astray == NULL ? &straight : astray);
}

void sim_disk_resize(struct sim_disk *disk, uint32_t node, uint64_t size) {
    sim_content_resize(&disk->nodes[node].cached, size);
    pend(disk,
         (struct sim_pending){.kind = SIM_PENDING_SIZE, .owner = node, .node = node, .size = size});
}

/* --- durability --- */

/* Take out every name of a node: a rename before this one may not have reached the disk. */
static void remove_names(struct sim_entries *entries, uint32_t node) {
    for (size_t i = entries->count; i-- > 0;) {
        if (entries->all[i].node == node) {
            sim_entries_remove_at(entries, i);
        }
    }
}

void sim_disk_apply(struct sim_disk *disk, const struct sim_pending *change) {
    struct sim_content *content = &disk->nodes[change->node].durable;
    switch (change->kind) {
    case SIM_PENDING_SECTOR:
        sim_content_put_sector(content, change->sector, change->image);
        break;
    case SIM_PENDING_SIZE:
        sim_content_resize(content, change->size);
        break;
    case SIM_PENDING_UNLINK:
        entries_remove(&disk->durable, &change->from, false);
        break;
    case SIM_PENDING_RENAME:
        remove_names(&disk->durable, change->node);
        entries_remove(&disk->durable, &change->to, true);
        entries_add(&disk->durable, &change->to);
        break;
    case SIM_PENDING_LINK:
        entries_remove(&disk->durable, &change->to, true);
        entries_add(&disk->durable, &change->to);
        break;
    }
}

/* Does a sync of `node` (a file, or a directory) carry out this change? */
static bool belongs_to(const struct sim_pending *change, uint32_t node) {
    switch (change->kind) {
    case SIM_PENDING_SECTOR:
    case SIM_PENDING_SIZE:
        return change->owner == node;
    case SIM_PENDING_LINK:
        return change->to.directory == node;
    case SIM_PENDING_UNLINK:
        return change->from.directory == node;
    case SIM_PENDING_RENAME:
        return change->from.directory == node || change->to.directory == node;
    }
    return false;
}

/* Has the node no name left that any crash could bring back, and nobody who holds it open? */
static bool is_forgotten(const struct sim_disk *disk, uint32_t node) {
    if (disk->nodes[node].links > 0 || disk->nodes[node].handles > 0) {
        return false;
    }
    for (size_t i = 0; i < disk->durable.count; i++) {
        if (disk->durable.all[i].node == node) {
            return false;
        }
    }
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct sim_pending *change = &disk->pending[i];
        if (change->node == node && change->kind != SIM_PENDING_SECTOR &&
            change->kind != SIM_PENDING_SIZE) {
            return false;
        }
    }
    return true;
}

/* Drop pending changes for which `is_done` holds, the order of the others kept. */
static void drop_pending(struct sim_disk *disk, const bool *is_done) {
    size_t kept = 0;
    for (size_t i = 0; i < disk->pending_count; i++) {
        if (is_done[i]) {
            pending_deinit(&disk->pending[i]);
        } else {
            disk->pending[kept++] = disk->pending[i];
        }
    }
    disk->pending_count = kept;
}

/* Free the files that nothing can bring back, and forget the writes to them: those would only blow
 * up the number of crash states. */
static void drop_forgotten(struct sim_disk *disk) {
    bool *is_done = sim_allocate(disk->pending_count + 1, sizeof *is_done);
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct sim_pending *change = &disk->pending[i];
        is_done[i] = is_forgotten(disk, change->node) ||
                     (change->kind == SIM_PENDING_SECTOR && is_forgotten(disk, change->owner));
    }
    drop_pending(disk, is_done);
    free(is_done);
    for (size_t i = 0; i < disk->node_count; i++) {
        struct sim_node *node = &disk->nodes[i];
        if (node->kind == IO_REGULAR && is_forgotten(disk, (uint32_t)i)) {
            sim_content_deinit(&node->cached);
            sim_content_deinit(&node->durable);
            node->kind = IO_MISSING;
        }
    }
}

void sim_disk_sync(struct sim_disk *disk, uint32_t node) {
    bool *is_done = sim_allocate(disk->pending_count + 1, sizeof *is_done);
    for (size_t i = 0; i < disk->pending_count; i++) {
        is_done[i] = belongs_to(&disk->pending[i], node);
        if (is_done[i]) {
            sim_disk_apply(disk, &disk->pending[i]);
        }
    }
    drop_pending(disk, is_done);
    free(is_done);
    if (disk->nodes[node].kind == IO_DIRECTORY) {
        drop_forgotten(disk);
    }
}

void sim_disk_sync_failed(struct sim_disk *disk, uint32_t node, size_t reached) {
    bool *is_done = sim_allocate(disk->pending_count + 1, sizeof *is_done);
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct sim_pending *change = &disk->pending[i];
        bool reaches = reached > 0 && belongs_to(change, node) && change->kind != SIM_PENDING_SIZE;
        if (reaches) {
            sim_disk_apply(disk, change);
            reached--;
        }
        bool forgets = change->kind == SIM_PENDING_SECTOR && belongs_to(change, node);
        is_done[i] = reaches || forgets;
    }
    drop_pending(disk, is_done);
    free(is_done);
}

/* Is a write to this sector of the file pending? */
static bool is_dirty(const struct sim_disk *disk, uint32_t node, size_t sector) {
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct sim_pending *change = &disk->pending[i];
        if (belongs_to(change, node) && change->kind == SIM_PENDING_SECTOR &&
            change->page == sector) {
            return true;
        }
    }
    return false;
}

void sim_disk_rot(struct sim_disk *disk, uint32_t node, uint64_t offset, uint8_t mask) {
    size_t index = (size_t)(offset / SIM_SECTOR_SIZE);
    struct sim_node *file = &disk->nodes[node];
    sim_content_own_sector(&file->durable, index)->bytes[offset % SIM_SECTOR_SIZE] ^= mask;
    if (!is_dirty(disk, node, index)) {
        sim_content_put_sector(&file->cached, index, sim_content_sector(&file->durable, index));
    }
}

/* Page by page, as a kernel does it: a file whose new size (or another page) is still to be written
 * keeps no clean page for that. If it did, a bad sector would stay hidden behind a good page until
 * the machine loses power, and a test that means to show it would show nothing. */
static void drop_clean_sectors(struct sim_disk *disk, uint32_t index) {
    struct sim_node *node = &disk->nodes[index];
    struct sim_content kept;
    uint64_t size = node->cached.size;
    sim_content_init(&kept);
    sim_content_copy(&kept, &node->durable);
    sim_content_resize(&kept, size); /* what is cut off, or added, reads as it did */
    for (size_t i = 0; i < node->cached.count; i++) {
        if (is_dirty(disk, index, i)) {
            sim_content_put_sector(&kept, i, sim_content_sector(&node->cached, i));
        }
    }
    sim_content_deinit(&node->cached);
    node->cached = kept;
}

void sim_disk_drop_caches(struct sim_disk *disk) {
    for (size_t i = 0; i < disk->node_count; i++) {
        if (disk->nodes[i].kind == IO_REGULAR) {
            drop_clean_sectors(disk, (uint32_t)i);
        }
    }
}

static uint64_t hash_tree(const struct sim_disk *disk, uint32_t directory) {
    uint64_t hash = 0;
    for (size_t i = 0; i < disk->cached.count; i++) {
        const struct sim_entry *entry = &disk->cached.all[i];
        if (entry->directory != directory) {
            continue;
        }
        const char *name = sim_name_text(entry->name);
        const struct sim_node *node = &disk->nodes[entry->node];
        uint64_t inner = node->kind == IO_DIRECTORY ? hash_tree(disk, entry->node)
                                                    : sim_content_hash(&node->cached);
        /* A sum, because names stand in no order. */
        hash += sim_random_mix(table_hash(name, strlen(name)) + node->kind, inner);
    }
    return hash;
}

uint64_t sim_disk_hash(const struct sim_disk *disk) {
    return hash_tree(disk, SIM_ROOT);
}
