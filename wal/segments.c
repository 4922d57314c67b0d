#include "wal/segments.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Segments kept open for wal_read(), beside those in use. */
enum { OPEN_FILES_MAX = 32 };

/* With the mutex held. */
static void close_segment(struct wal *wal, struct wal_segment *segment) {
    wal->io->ops->close(wal->io, segment->file);
    segment->file = NULL;
}

static bool reserve_slot(struct wal *wal) {
    if (wal->count < wal->capacity)
        return true;
    size_t capacity = wal->capacity == 0 ? 16 : 2 * wal->capacity;
    struct wal_segment **grown = realloc(wal->segments, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    wal->segments = grown;
    wal->capacity = capacity;
    return true;
}

struct wal_segment *wal_segments_add(struct wal *wal, const char *name, uint64_t first_lsn,
                                     struct io_file *file) {
    struct wal_segment *segment = calloc(1, sizeof *segment);
    pthread_mutex_lock(&wal->mutex);
    bool ok = segment != NULL && reserve_slot(wal);
    if (ok) {
        memcpy(segment->info.name, name, sizeof segment->info.name);
        segment->info.first_lsn = first_lsn;
        segment->info.last_lsn = first_lsn - 1;
        segment->file = file;
        wal->segments[wal->count++] = segment;
    }
    pthread_mutex_unlock(&wal->mutex);
    if (ok)
        return segment;
    free(segment);
    return NULL;
}

/* With the mutex held: keep the number of open files bounded. The newest stays open: it is the
 * writer's. */
static void close_least_used(struct wal *wal) {
    size_t open = 0;
    struct wal_segment *least = NULL;
    for (size_t i = 0; i + 1 < wal->count; i++) {
        struct wal_segment *segment = wal->segments[i];
        if (segment->file == NULL)
            continue;
        open++;
        if (segment->users == 0 && (least == NULL || segment->last_use < least->last_use))
            least = segment;
    }
    if (open > OPEN_FILES_MAX && least != NULL)
        close_segment(wal, least);
}

enum wf_status wal_segments_hold(struct wal *wal, uint64_t lsn, struct wal_segment **out,
                                 struct wf_error *err) {
    pthread_mutex_lock(&wal->mutex);
    size_t low = 0;
    size_t high = wal->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (wal->segments[middle]->info.first_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    enum wf_status status = WF_OK;
    struct wal_segment *segment = low > 0 ? wal->segments[low - 1] : NULL;
    if (segment == NULL)
        status = error_set(err, WF_NOT_FOUND, "LSN %" PRIu64 " is in no live segment", lsn);
    else if (segment->file == NULL)
        status =
            wal_segment_open(wal->io, wal->dir, segment->info.name, IO_READ, &segment->file, err);
    if (status == WF_OK) {
        segment->users++;
        segment->last_use = ++wal->uses;
        close_least_used(wal);
        *out = segment;
    }
    pthread_mutex_unlock(&wal->mutex);
    return status;
}

void wal_segments_free(struct wal *wal, struct wal_segment *segment) {
    close_segment(wal, segment);
    free(segment);
}

void wal_segments_release(struct wal *wal, struct wal_segment *segment) {
    pthread_mutex_lock(&wal->mutex);
    segment->users--;
    if (segment->removed && segment->users == 0)
        wal_segments_free(wal, segment);
    pthread_mutex_unlock(&wal->mutex);
}

uint64_t wal_first_live_lsn(const struct wal *wal) {
    struct wal_segment_info info;
    return wal_segment_at((struct wal *)wal, 0, &info) ? info.first_lsn : wal_next_lsn(wal);
}

uint64_t wal_first_lsn(const struct wal *wal) {
    uint64_t live = wal_first_live_lsn(wal);
    uint64_t elsewhere = wal->source.first_lsn != NULL ? wal->source.first_lsn(wal->source.ctx) : 0;
    return elsewhere != 0 && elsewhere < live ? elsewhere : live;
}

void wal_set_source(struct wal *wal, const struct wal_source *source) {
    wal->source = *source;
}

uint64_t wal_segments_last_of(struct wal *wal, uint64_t lsn) {
    uint64_t last = UINT64_MAX;
    pthread_mutex_lock(&wal->mutex);
    for (size_t i = wal->count; i-- > 0 && wal->segments[i]->info.first_lsn > lsn;)
        last = wal->segments[i]->info.first_lsn - 1;
    pthread_mutex_unlock(&wal->mutex);
    return last;
}

size_t wal_segment_count(struct wal *wal) {
    pthread_mutex_lock(&wal->mutex);
    size_t count = wal->count;
    pthread_mutex_unlock(&wal->mutex);
    return count;
}

bool wal_segment_at(struct wal *wal, size_t index, struct wal_segment_info *info) {
    pthread_mutex_lock(&wal->mutex);
    bool found = index < wal->count;
    if (found)
        *info = wal->segments[index]->info;
    pthread_mutex_unlock(&wal->mutex);
    if (!found || info->sealed)
        return found;
    info->last_lsn = wal_durable_lsn(wal);
    info->size = wal->read_offset;
    if (wal->writer == NULL)
        return true;
    struct wal_writer_view view = wal_writer_view(wal->writer);
    info->size = view.durable_offset;
    /* It may have been sealed between the two looks; then ask the table again. */
    return view.segment_first == info->first_lsn || wal_segment_at(wal, index, info);
}

enum wf_status wal_remove_oldest(struct wal *wal, uint64_t first_lsn, struct wf_error *err) {
    struct wal_segment_info info;
    if (!wal_segment_at(wal, 0, &info) || info.first_lsn != first_lsn || !info.sealed)
        return error_set(err, WF_REFUSED,
                         "the oldest segment is not a sealed one from LSN %" PRIu64, first_lsn);
    char *path = io_path_join(wal->dir, info.name);
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = wal->io->ops->remove(wal->io, path, err);
    free(path);
    if (status != WF_OK)
        return status;
    pthread_mutex_lock(&wal->mutex);
    struct wal_segment *oldest = wal->segments[0];
    wal->count--;
    memmove(wal->segments, wal->segments + 1, wal->count * sizeof *wal->segments);
    oldest->removed = true;
    if (oldest->users == 0)
        wal_segments_free(wal, oldest);
    pthread_mutex_unlock(&wal->mutex);
    return wal->io->ops->sync_directory(wal->io, wal->dir, err);
}
