/* A simulated disk: a tree of files and directories, each in two versions (cached: what calls see;
 * durable: what a crash leaves) with the changes pending between them, in the order they were made.
 * Owns the bytes and the model of durability; knows no handles, faults, locks or threads
 * (tests/lib/sim_io.h puts those around it).
 *
 * The model, as mean as POSIX allows:
 *  - A file's content and size are durable after a sync of the file; its name only after a sync of
 *    the directory that holds the name, and so on up to the root.
 *  - Changes that are not synced may each have reached the disk or not, in any combination,
 * whatever their order. A sector is written whole or not at all; one that was on its way may come
 * back as it was, zeroed, cut, or with rubbish, from the first byte that the write changed to the
 * last one. The other bytes of the sector are safe (what SQLite calls powersafe overwrite): a log
 * that does not pad to sectors cannot do without that.
 *  - A failed sync of a file forgets: the pages are clean, reads still show the new bytes, the next
 * sync succeeds and writes nothing (Linux since 4.13, the "fsyncgate"). Sizes and names, which a
 * file system keeps in its journal, stay pending when a sync fails.
 *
 * Paths are resolved from one root: "/a/b" and "a/b" are the same, "." and empty parts are skipped.
 */
#ifndef TESTS_LIB_SIM_DISK_H
#define TESTS_LIB_SIM_DISK_H

#include "base/io.h"
#include "tests/lib/sim_content.h"
#include "tests/lib/sim_memory.h"

enum {
    SIM_ROOT = 0,             /* the node of the root directory */
    SIM_CHOICES_ALL_MAX = 10, /* up to so many pending changes: every subset */
    SIM_CHOICES_RANDOM = 256, /* above: so many seeded ones besides the regular ones */
    SIM_FILE_SIZE_MAX = 1024 * 1024 * 1024, /* bytes; beyond it is EFBIG */
};

/* A file or a directory, which is its index in sim_disk.nodes. IO_MISSING: a free place. */
struct sim_node {
    enum io_kind kind;
    unsigned links;   /* cached names: 0 or 1 */
    unsigned handles; /* open ones; the file lives on without a name while there are any */
    struct sim_content cached;
    struct sim_content durable;
};

/* A name in a directory. Owns a share of the name. */
struct sim_entry {
    uint32_t directory;
    uint32_t node;
    struct sim_name *name;
};

struct sim_entries {
    struct sim_entry *all;
    size_t count;
    size_t capacity;
};

enum sim_pending_kind {
    SIM_PENDING_SECTOR, /* one sector of a file */
    SIM_PENDING_SIZE,   /* a file's new size, and the space for it */
    SIM_PENDING_LINK,   /* a new name `to` */
    SIM_PENDING_UNLINK, /* the name `from` gone */
    SIM_PENDING_RENAME, /* both, at once */
};

/* A change that is in the cache and not on the disk. */
struct sim_pending {
    enum sim_pending_kind kind;
    uint32_t owner;            /* the file whose sync makes it durable (content only) */
    uint32_t node;             /* the file changed: the owner, unless the write went astray */
    size_t page;               /* index of the owner's sector that was written */
    size_t sector;             /* index of the node's that it ends up in */
    uint16_t first, end;       /* bytes of the sector that were written */
    struct sim_sector *image;  /* the whole sector as it was cached then, a share */
    uint64_t size;             /* bytes */
    struct sim_entry from, to; /* names: own a share of each */
};

struct sim_disk {
    struct sim_node *nodes;
    size_t node_count, node_capacity;
    struct sim_entries cached, durable;
    struct sim_pending *pending;
    size_t pending_count, pending_capacity;
    uint64_t space; /* bytes that files may take up; UINT64_MAX: no limit */
};

/* Where a write ends up that the disk puts in the wrong place. */
struct sim_astray {
    uint32_t node;         /* the file that is hit */
    int64_t shift_sectors; /* from the place that was meant */
};

void sim_disk_init(struct sim_disk *disk);
void sim_disk_deinit(struct sim_disk *disk);
/* `to`, which holds nothing yet, becomes equal to `from`, pending changes included, handles not. */
void sim_disk_copy(struct sim_disk *to, const struct sim_disk *from);

/* The node that `path` names, and whether there is one. */
bool sim_disk_find(const struct sim_disk *disk, const char *path, uint32_t *node);
/* The directory that holds or would hold the last part of `path`, and that part as a borrowed run.
 * False where the directory is missing, or `path` names the root. */
bool sim_disk_find_parent(const struct sim_disk *disk, const char *path, uint32_t *directory,
                          const char **name, size_t *name_size);
/* The entry of that name, borrowed until the next change; NULL where there is none. */
const struct sim_entry *sim_disk_entry(const struct sim_disk *disk, uint32_t directory,
                                       const char *name, size_t name_size);

/* Make an empty file or directory of a name that is free. Returns its node. */
uint32_t sim_disk_make(struct sim_disk *disk, uint32_t directory, const char *name,
                       size_t name_size, enum io_kind kind);
void sim_disk_remove(struct sim_disk *disk, const struct sim_entry *entry);
/* Rename to a name that is free or names a file, which is replaced. */
void sim_disk_rename(struct sim_disk *disk, const struct sim_entry *entry, uint32_t directory,
                     const char *name, size_t name_size);

/* Bytes of `size` at `offset` for which there is space (a file takes up its size in whole sectors).
 */
size_t sim_disk_fitting(const struct sim_disk *disk, uint32_t node, uint64_t offset, size_t size);
uint64_t sim_disk_used(const struct sim_disk *disk); /* bytes taken up by all files */
/* Write to the cache; the space was checked. `astray` (NULL: none) diverts what reaches the disk.
 */
void sim_disk_write(struct sim_disk *disk, uint32_t node, uint64_t offset, const void *data,
                    size_t size, const struct sim_astray *astray);
/* The cache has it and the disk never hears of it. */
void sim_disk_write_lost(struct sim_disk *disk, uint32_t node, uint64_t offset, const void *data,
                         size_t size);
void sim_disk_resize(struct sim_disk *disk, uint32_t node, uint64_t size);

/* Make what is pending of a file, or of the names in a directory, durable. */
void sim_disk_sync(struct sim_disk *disk, uint32_t node);
/* A sync that fails: the first `reached` of its changes are durable, the other sectors are
 * forgotten, sizes and names stay pending. */
void sim_disk_sync_failed(struct sim_disk *disk, uint32_t node, size_t reached);

/* Invert bits of a durable byte, and of the cached one unless a write to its sector is pending. */
void sim_disk_rot(struct sim_disk *disk, uint32_t node, uint64_t offset, uint8_t mask);
/* Read clean sectors from the disk again: what a failed sync forgot is gone from sight too, and a
 * write that went astray is seen where it went. */
void sim_disk_drop_caches(struct sim_disk *disk);
/* A hash of all names and bytes as calls see them. */
uint64_t sim_disk_hash(const struct sim_disk *disk);

/* How many states a crash at this point may leave, `0..count-1`, as far as they are told apart by
 * which pending changes reached the disk: all subsets of SIM_CHOICES_ALL_MAX or fewer; else every
 * prefix, every single change, all but one, and SIM_CHOICES_RANDOM at random. */
size_t sim_disk_choices(const struct sim_disk *disk);
/* See sim_crash_choice(). */
size_t sim_disk_choice(const struct sim_disk *disk, size_t index, bool keeps);
/* Put the disk that the crash leaves into `to`, which holds nothing yet. The same arguments give
 * the same state. Changes not chosen left no mark where `rubbish` is 0; else it seeds what their
 * sectors come back as: old, zeroed, cut, or rubbish, stale sectors of the same file included. */
void sim_disk_crash(struct sim_disk *to, const struct sim_disk *from, size_t choice,
                    uint64_t rubbish);

/* --- between sim_disk.c and sim_crash.c --- */

/* Carry out one pending change on the durable version. */
void sim_disk_apply(struct sim_disk *disk, const struct sim_pending *change);
void sim_entries_copy(struct sim_entries *to, const struct sim_entries *from);
void sim_entries_remove_at(struct sim_entries *entries, size_t index);
/* A new node at the end of the list or in a free place. */
uint32_t sim_disk_add_node(struct sim_disk *disk, enum io_kind kind);

#endif
