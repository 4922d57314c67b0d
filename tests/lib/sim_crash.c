/* What a crash of the simulated disk leaves: the choice of pending changes that reached it, and the
 * state of the sectors that did not. */
#include "tests/lib/sim_disk.h"

#include <stdlib.h>
#include <string.h>

size_t sim_disk_choices(const struct sim_disk *disk) {
    size_t pending = disk->pending_count;
    return pending <= SIM_CHOICES_ALL_MAX ? (size_t)1 << pending
                                          : 3 * pending + 1 + SIM_CHOICES_RANDOM;
}

size_t sim_disk_choice(const struct sim_disk *disk, size_t index, bool keeps) {
    size_t pending = disk->pending_count;
    if (pending <= SIM_CHOICES_ALL_MAX) {
        size_t one = (size_t)1 << index;
        return keeps ? one : (((size_t)1 << pending) - 1) ^ one;
    }
    return (keeps ? pending + 1 : 2 * pending + 1) + index;
}

/* Did the pending change `index` of `count` reach the disk in this choice? */
static bool is_kept(size_t choice, size_t index, size_t count) {
    if (count <= SIM_CHOICES_ALL_MAX) {
        return (choice >> index & 1) != 0;
    }
    if (choice <= count) {
        return index < choice; /* a prefix, from nothing to all */
    }
    choice -= count + 1;
    if (choice < count) {
        return index == choice; /* only this one */
    }
    choice -= count;
    if (choice < count) {
        return index != choice; /* all but this one */
    }
    choice -= count;
    /* Thirds, not only halves: one in three runs loses much, one little. */
    uint64_t random = sim_random_mix(choice, index) % 12;
    return random < 3 * (1 + choice % 3);
}

/* The ways in which a sector comes back whose write was under way. */
enum spoil { SPOIL_OLD, SPOIL_ZERO, SPOIL_RANDOM, SPOIL_CUT, SPOIL_FLIP, SPOIL_STALE, SPOIL_COUNT };

/* Narrow the bytes written to those from the first to the last that the write changes: a disk that
 * mixes old and new bytes cannot hurt those that are the same in both. False where nothing changes.
 */
static bool narrow(const uint8_t *old, const uint8_t *new, size_t *first, size_t *end) {
    while (*first < *end && old[*first] == new[*first]) {
        ++*first;
    }
    while (*end > *first && old[*end - 1] == new[*end - 1]) {
        --*end;
    }
    return *first < *end;
}

/* Put what an interrupted write left into the durable sector. */
static void spoil_sector(struct sim_disk *disk, const struct sim_pending *change,
                         uint64_t *random) {
    enum spoil spoil = (enum spoil)(sim_random_next(random) % SPOIL_COUNT);
    struct sim_content *content = &disk->nodes[change->node].durable;
    const uint8_t *image = change->image->bytes;
    uint8_t *bytes = sim_content_own_sector(content, change->sector)->bytes;
    size_t first = change->first;
    size_t end = change->end;
    if (!narrow(bytes, image, &first, &end)) {
        return;
    }
    size_t size = end - first;
    size_t part = (size_t)(sim_random_next(random) % size);
    switch (spoil) {
    case SPOIL_OLD:
    case SPOIL_COUNT:
        break;
    case SPOIL_ZERO:
        memset(bytes + first, 0, size);
        break;
    case SPOIL_RANDOM:
        for (size_t i = first; i < end; i++) {
            bytes[i] = (uint8_t)sim_random_next(random);
        }
        break;
    case SPOIL_CUT:
        memcpy(bytes + first, image + first, part);
        break;
    case SPOIL_FLIP:
        memcpy(bytes + first, image + first, size);
        bytes[first + part] ^= (uint8_t)(1U << (sim_random_next(random) % 8));
        break;
    case SPOIL_STALE: {
        /* Space that was used before shows older bytes, which may pass for valid ones. */
        size_t other = (size_t)(sim_random_next(random) % content->count);
        const struct sim_sector *stale = sim_content_sector(content, other);
        if (stale != NULL) {
            memmove(bytes + first, stale->bytes + first, size);
        }
        break;
    }
    }
}

static void copy_durable(struct sim_disk *to, const struct sim_disk *from) {
    *to = (struct sim_disk){.space = from->space};
    to->node_count = to->node_capacity = from->node_count;
    to->nodes = sim_allocate(from->node_count, sizeof *to->nodes);
    for (size_t i = 0; i < from->node_count; i++) {
        to->nodes[i].kind = from->nodes[i].kind;
        sim_content_copy(&to->nodes[i].durable, &from->nodes[i].durable);
    }
    sim_entries_copy(&to->durable, &from->durable);
}

/* Count a link for everything that the root leads to. */
static void mark(struct sim_disk *disk, uint32_t directory) {
    disk->nodes[directory].links = 1;
    for (size_t i = 0; i < disk->durable.count; i++) {
        const struct sim_entry *entry = &disk->durable.all[i];
        if (entry->directory != directory || disk->nodes[entry->node].links > 0) {
            continue;
        }
        if (disk->nodes[entry->node].kind == IO_DIRECTORY) {
            mark(disk, entry->node);
        } else {
            disk->nodes[entry->node].links = 1;
        }
    }
}

/* Throw away what has no name; everything else is now cached as it is on the disk. */
static void settle(struct sim_disk *disk) {
    mark(disk, SIM_ROOT);
    for (size_t i = disk->durable.count; i-- > 0;) {
        if (disk->nodes[disk->durable.all[i].directory].links == 0) {
            sim_entries_remove_at(&disk->durable, i);
        }
    }
    for (size_t i = 0; i < disk->node_count; i++) {
        struct sim_node *node = &disk->nodes[i];
        if (node->links == 0) {
            sim_content_deinit(&node->durable);
            node->kind = IO_MISSING;
        } else {
            sim_content_resize(&node->durable, node->durable.size); /* drops what is out of sight */
            sim_content_copy(&node->cached, &node->durable);
        }
    }
    sim_entries_copy(&disk->cached, &disk->durable);
}

void sim_disk_crash(struct sim_disk *to, const struct sim_disk *from, size_t choice,
                    uint64_t rubbish) {
    copy_durable(to, from);
    uint64_t random = sim_random_mix(rubbish, choice);
    for (size_t i = 0; i < from->pending_count; i++) {
        const struct sim_pending *change = &from->pending[i];
        if (is_kept(choice, i, from->pending_count)) {
            sim_disk_apply(to, change);
        } else if (rubbish != 0 && change->kind == SIM_PENDING_SECTOR) {
            spoil_sector(to, change, &random);
        }
    }
    settle(to);
}
