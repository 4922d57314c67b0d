/* The subject of the damage test: a small real store, what was true of it at each LSN, and the
 * numbered ways to damage its log. */
#ifndef CRASH_DAMAGE_SUBJECT_H
#define CRASH_DAMAGE_SUBJECT_H

#include "tests/crash/image.h"
#include "tests/crash/scratch.h"

enum {
    SUBJECT_RECORDS_MAX = 2000,
    SUBJECT_SEGMENTS_MAX = 8,
    SUBJECT_SEGMENT_SIZE = 64 << 10,
};

/* The store, and what was true of it at each LSN. */
struct subject {
    struct image image;
    char hashes[SUBJECT_RECORDS_MAX][65];
    size_t ends[SUBJECT_RECORDS_MAX];  /* of the frame, bytes from the start of its segment */
    size_t files[SUBJECT_RECORDS_MAX]; /* index in image of the segment that holds it */
    uint64_t last_lsn, snapshot_lsn;
    size_t segments[SUBJECT_SEGMENTS_MAX]; /* indices in image of the log's files, oldest first */
    size_t segment_bytes[SUBJECT_SEGMENTS_MAX]; /* in use */
    size_t segment_count;
};

/* Case numbers count through: snapshot kept or removed, read-only or not, then every truncation and
 * flip of every segment. */
struct damage_case {
    bool keep_snapshot, read_only, truncate;
    size_t segment;
    uint64_t position; /* new length in bytes, or the bit */
};

/* Build it below `root` and take its image. False, and said on stderr, where that fails. */
bool subject_make(struct subject *subject, const char *root);
/* How many cases there are: every truncation and every bit of the log, four ways each. */
uint64_t subject_case_count(const struct subject *subject);
struct damage_case subject_case(const struct subject *subject, uint64_t number);
/* The number of some case at the edge of a segment: its header, its last records. */
uint64_t subject_draw_edge(const struct subject *subject, struct choices *choices);
/* The name of the segment that a case damages, without its folder. */
const char *subject_segment_name(const struct subject *subject, const struct damage_case *damage);
/* The least LSN that opening must come to; `most`: the last one whose record is whole in what is
 * left. */
uint64_t subject_least_lsn(const struct subject *subject, const struct damage_case *damage,
                           uint64_t *most);

#endif
