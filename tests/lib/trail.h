/* The frames of one segment file in memory, for tests that change a trail as an adversary would:
 * bytes as they are, or everything written anew with checksums that hold. */
#ifndef TESTS_LIB_TRAIL_H
#define TESTS_LIB_TRAIL_H

#include "wal/record.h"
#include "wal/segment.h"

enum { TRAIL_FRAMES_MAX = 64 };

struct trail {
    char path[512];
    uint8_t *bytes;
    size_t size; /* to the end of the last frame */
    struct wal_segment_header header;
    struct trail_frame {
        size_t offset, size;
        uint64_t lsn;              /* 0: the seal */
        struct bytes_view payload; /* into `bytes`, or the test's own */
    } frames[TRAIL_FRAMES_MAX];
    size_t count;
};

/* Read the segment file; fails the test where it is none. */
void trail_load(struct trail *trail, const char *path);
void trail_deinit(struct trail *trail);
/* The record whose frame holds the byte; 0: none. */
uint64_t trail_lsn_at(const struct trail *trail, size_t offset);
void trail_write(const struct trail *trail, const void *bytes, size_t size);
/* Put the file back as it was read. */
void trail_restore(const struct trail *trail);
/* Write the frames listed in `order` (indices, `count` of them) one behind the other as they are.
 */
void trail_write_frames(const struct trail *trail, const size_t *order, size_t count);
/* The same, but written anew: dense LSNs, the chain and all checksums hold. */
void trail_forge_frames(const struct trail *trail, const size_t *order, size_t count);

#endif
