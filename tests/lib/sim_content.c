#include "tests/lib/sim_content.h"

#include "base/table.h"
#include "tests/lib/sim_memory.h"

#include <stdlib.h>
#include <string.h>

struct sim_sector *sim_sector_share(struct sim_sector *sector) {
    if (sector != NULL) {
        atomic_fetch_add_explicit(&sector->owners, 1, memory_order_relaxed);
    }
    return sector;
}

void sim_sector_release(struct sim_sector *sector) {
    if (sector != NULL &&
        atomic_fetch_sub_explicit(&sector->owners, 1, memory_order_acq_rel) == 1) {
        free(sector);
    }
}

void sim_content_init(struct sim_content *content) {
    *content = (struct sim_content){0};
}

/* Let go of every sector from `first` on. */
static void drop_sectors(struct sim_content *content, size_t first) {
    for (size_t i = first; i < content->count; i++) {
        sim_sector_release(content->sectors[i]);
    }
    if (first < content->count) {
        content->count = first;
    }
}

void sim_content_deinit(struct sim_content *content) {
    drop_sectors(content, 0);
    free(content->sectors);
    sim_content_init(content);
}

void sim_content_copy(struct sim_content *to, const struct sim_content *from) {
    sim_content_deinit(to);
    to->size = from->size;
    to->count = from->count;
    to->capacity = from->count;
    to->sectors = sim_allocate(from->count, sizeof(struct sim_sector *));
    for (size_t i = 0; i < from->count; i++) {
        to->sectors[i] = sim_sector_share(from->sectors[i]);
    }
}

struct sim_sector *sim_content_sector(const struct sim_content *content, size_t index) {
    return index < content->count ? content->sectors[index] : NULL;
}

static void reach(struct sim_content *content, size_t index) {
    while (content->count <= index) {
        content->sectors = sim_grow(content->sectors, content->count, &content->capacity,
                                    sizeof(struct sim_sector *));
        content->sectors[content->count++] = NULL;
    }
}

void sim_content_put_sector(struct sim_content *content, size_t index, struct sim_sector *sector) {
    if (sector == NULL && index >= content->count) {
        return;
    }
    reach(content, index);
    struct sim_sector *old = content->sectors[index];
    content->sectors[index] = sim_sector_share(sector);
    sim_sector_release(old);
}

struct sim_sector *sim_content_own_sector(struct sim_content *content, size_t index) {
    reach(content, index);
    struct sim_sector *old = content->sectors[index];
    if (old != NULL && atomic_load_explicit(&old->owners, memory_order_acquire) == 1) {
        return old;
    }
    struct sim_sector *own = sim_allocate(1, sizeof *own);
    atomic_init(&own->owners, 1);
    if (old != NULL) {
        memcpy(own->bytes, old->bytes, SIM_SECTOR_SIZE);
    }
    content->sectors[index] = own;
    sim_sector_release(old);
    return own;
}

/* How many of `size` bytes at `offset` lie in the same sector. */
static size_t in_sector(uint64_t offset, size_t size) {
    size_t room = SIM_SECTOR_SIZE - (size_t)(offset % SIM_SECTOR_SIZE);
    return size < room ? size : room;
}

size_t sim_content_read(const struct sim_content *content, uint64_t offset, void *data,
                        size_t size) {
    if (offset >= content->size) {
        return 0;
    }
    if (size > content->size - offset) {
        size = (size_t)(content->size - offset);
    }
    uint8_t *at = data;
    for (size_t done = 0, part; done < size; done += part) {
        part = in_sector(offset + done, size - done);
        const struct sim_sector *sector =
            sim_content_sector(content, (size_t)((offset + done) / SIM_SECTOR_SIZE));
        if (sector == NULL) {
            memset(at + done, 0, part);
        } else {
            memcpy(at + done, sector->bytes + (offset + done) % SIM_SECTOR_SIZE, part);
        }
    }
    return size;
}

void sim_content_write(struct sim_content *content, uint64_t offset, const void *data,
                       size_t size) {
    const uint8_t *at = data;
    for (size_t done = 0, part; done < size; done += part) {
        part = in_sector(offset + done, size - done);
        struct sim_sector *sector =
            sim_content_own_sector(content, (size_t)((offset + done) / SIM_SECTOR_SIZE));
        memcpy(sector->bytes + (offset + done) % SIM_SECTOR_SIZE, at + done, part);
    }
    if (size > 0 && offset + size > content->size) {
        content->size = offset + size;
    }
}

void sim_content_resize(struct sim_content *content, uint64_t size) {
    if (size <= content->size) {
        size_t whole = (size_t)(size / SIM_SECTOR_SIZE);
        size_t rest = (size_t)(size % SIM_SECTOR_SIZE);
        drop_sectors(content, rest == 0 ? whole : whole + 1);
        if (rest != 0 && sim_content_sector(content, whole) != NULL) {
            struct sim_sector *last = sim_content_own_sector(content, whole);
            memset(last->bytes + rest, 0, SIM_SECTOR_SIZE - rest);
        }
    }
    content->size = size;
}

uint64_t sim_content_hash(const struct sim_content *content) {
    static const uint8_t zeros[SIM_SECTOR_SIZE];
    uint64_t hash = sim_random_mix(content->size, 0);
    uint64_t sectors = (content->size + SIM_SECTOR_SIZE - 1) / SIM_SECTOR_SIZE;
    for (size_t i = 0; i < content->count && i < sectors; i++) {
        const struct sim_sector *sector = content->sectors[i];
        if (sector == NULL || memcmp(sector->bytes, zeros, SIM_SECTOR_SIZE) == 0) {
            continue;
        }
        uint64_t left = content->size - (uint64_t)i * SIM_SECTOR_SIZE;
        size_t size = left < SIM_SECTOR_SIZE ? (size_t)left : SIM_SECTOR_SIZE;
        hash = sim_random_mix(hash ^ i, table_hash(sector->bytes, size));
    }
    return hash;
}
