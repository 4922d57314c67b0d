/* The bytes of one simulated file as a run of shared sectors: copies are cheap, because a sector
 * is copied only when one of its owners changes it. Knows nothing of durability. */
#ifndef TESTS_LIB_SIM_CONTENT_H
#define TESTS_LIB_SIM_CONTENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SIM_SECTOR_SIZE = 512 }; /* bytes that a disk writes whole or not at all */

/* One sector, owned by any number of contents and pending writes. Unchanged while shared. */
struct sim_sector {
    atomic_uint owners;
    uint8_t bytes[SIM_SECTOR_SIZE];
};

/* Owns a share of each sector. Sectors behind `count` and NULL ones are zeros; those behind `size`
 * are out of sight until the size grows over them (written data whose size is not there yet). */
struct sim_content {
    uint64_t size; /* bytes */
    struct sim_sector **sectors;
    size_t count;
    size_t capacity;
};

void sim_content_init(struct sim_content *content);
void sim_content_deinit(struct sim_content *content);
/* `to` (initialised or deinitialised before) becomes equal to `from`, sharing its sectors. */
void sim_content_copy(struct sim_content *to, const struct sim_content *from);

/* Copy up to `size` bytes out; returns how many there are before the end. */
size_t sim_content_read(const struct sim_content *content, uint64_t offset, void *data,
                        size_t size);
/* Put the bytes there, growing the content where it ends before them. */
void sim_content_write(struct sim_content *content, uint64_t offset, const void *data, size_t size);
/* Change the size. Unless it grows, whatever was kept behind the new end is dropped, and reads as
 * zeros where the size grows again later. */
void sim_content_resize(struct sim_content *content, uint64_t size);

/* The sector at this index, borrowed; NULL where it is all zeros. */
struct sim_sector *sim_content_sector(const struct sim_content *content, size_t index);
/* Replace a whole sector and leave the size alone. Takes a share of `sector` (NULL: zeros). */
void sim_content_put_sector(struct sim_content *content, size_t index, struct sim_sector *sector);
/* A sector of the content's own at this index, to change in place. */
struct sim_sector *sim_content_own_sector(struct sim_content *content, size_t index);

struct sim_sector *sim_sector_share(struct sim_sector *sector); /* takes NULL */
void sim_sector_release(struct sim_sector *sector);             /* takes NULL */

/* A hash of size and bytes: equal for equal files, however their zeros are kept. */
uint64_t sim_content_hash(const struct sim_content *content);

#endif
