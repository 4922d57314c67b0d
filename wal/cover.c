#include "wal/cover.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

unsigned wal_cover_level(uint64_t first, uint64_t end) {
    assert(first < end);
    unsigned fits = 63 - (unsigned)__builtin_clzll(end - first);
    unsigned aligned = first == 0 ? 63 : (unsigned)__builtin_ctzll(first);
    return fits < aligned ? fits : aligned;
}

size_t wal_cover_count(uint64_t first, uint64_t end) {
    size_t count = 0;
    for (; first < end; count++)
        first += (uint64_t)1 << wal_cover_level(first, end);
    return count;
}

static void next_piece(struct wal_cover *cover) {
    cover->part.count = 0;
    if (cover->at < cover->end)
        cover->piece_end = cover->at + ((uint64_t)1 << wal_cover_level(cover->at, cover->end));
}

bool wal_cover_init(struct wal_cover *cover, uint64_t first, uint64_t end) {
    *cover = (struct wal_cover){.first = first, .end = end, .at = first};
    cover->hashes = calloc(wal_cover_count(first, end) + 1, sizeof *cover->hashes);
    next_piece(cover);
    return cover->hashes != NULL;
}

void wal_cover_deinit(struct wal_cover *cover) {
    free(cover->hashes);
    cover->hashes = NULL;
}

bool wal_cover_add(struct wal_cover *cover, struct wal_hasher *hasher, unsigned level,
                   const uint8_t hash[WAL_HASH_SIZE]) {
    assert(cover->at + ((uint64_t)1 << level) <= cover->piece_end);
    if (!wal_frontier_add_subtree(&cover->part, hasher, level, hash))
        return false;
    cover->at += (uint64_t)1 << level;
    if (cover->at < cover->piece_end)
        return true;
    if (!wal_frontier_root(&cover->part, hasher, cover->hashes[cover->count]))
        return false;
    cover->count++;
    next_piece(cover);
    return true;
}

bool wal_cover_is_whole(const struct wal_cover *cover) {
    return cover->at == cover->end;
}
