/* Memory for many small objects that come, grow and go: blocks of sizes that are multiples of 16
 * stand in pages of one size each, without a header of their own. A page whose last block is freed
 * serves any size. Measured beside malloc() for the data of workflows, each of which grows with
 * every step: no neighbour is merged with or split from, so that little cold memory is touched.
 * The design is the slab allocator's (Bonwick, USENIX Summer 1994), with pages found by the address
 * of a block. What a slab has taken from malloc() it keeps until it is emptied. Not thread-safe. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

enum {
    SLAB_STEP = 16,       /* bytes between two sizes of blocks */
    SLAB_BLOCK_MAX = 512, /* a larger block is malloc()'s */
    SLAB_SIZES = SLAB_BLOCK_MAX / SLAB_STEP,
};

/* All zero is an empty slab; it must stay where it is while it has blocks. */
struct slab {
    struct slab_page *partial[SLAB_SIZES]; /* with at least one block free, and one in use */
    struct slab_page *empty;
    struct slab_chunk *chunks;
    uint8_t *fresh, *fresh_end; /* of the last chunk: pages that were never used */
};

/* A block of at least `size` bytes (above 0), aligned to 8; NULL where memory fails. */
void *slab_alloc(struct slab *slab, size_t size);
/* The same with other bytes behind the first min(old, new) ones; the block may move. NULL where
 * memory fails: it stays as it was. */
void *slab_realloc(void *block, size_t size);
void slab_free(void *block); /* NULL: nothing */
/* The slab that it is from. */
struct slab *slab_of(const void *block);
/* Give back what it took; no block may be in use any more. */
void slab_empty(struct slab *slab);

#endif
