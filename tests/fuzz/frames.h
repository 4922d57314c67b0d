/* Frames that check: what a mutator does so that mutated bytes get behind the checksums, and the
 * seeds that it starts from. */
#ifndef TESTS_FUZZ_FRAMES_H
#define TESTS_FUZZ_FRAMES_H

#include "wal/record.h"
#include "wal/segment.h"

/* Make the checksums of the frames hold that stand in `data` from `start` on, as far as sizes and
 * kinds can be believed. `chain`: LSNs and links to the frame before too. */
void frames_repair(uint8_t *data, size_t size, size_t start, uint32_t seed, bool chain);
/* The same for a whole segment, header included. */
void frames_repair_segment(uint8_t *data, size_t size, bool chain);
/* A small sealed segment of `records` records; returns its size, at most `size_max`. */
size_t frames_make_segment(uint8_t *data, size_t size_max, unsigned records, bool sealed);

#endif
