/* Writing an archive: the segment's frames are read in order, made into blocks by several threads,
 * and written in order again. */
#include "base/thread.h"
#include "store/archive_file.h"
#include "wal/reader.h"
#include "wal/segment.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    THREADS_MAX = 16,
    SPARE_JOBS = 2, /* blocks that may wait to be written while all threads have others */
    JOBS_MAX = THREADS_MAX + SPARE_JOBS,
    LINE_MAX_SIZE = 300,
};

/* All that the threads share. The mutex guards it; what a block costs is done outside. */
struct writing {
    struct io *io;
    const struct archive_options *options;
    const struct wal_segment_info *segment;
    struct archive_entry *entry;
    uint32_t seed;
    pthread_mutex_t mutex;
    pthread_cond_t freed; /* a job is, or there are no more blocks */
    struct job *jobs[JOBS_MAX];
    size_t job_count;

    struct wal_reader reader;
    struct wal_step step; /* read and not in a block yet */
    bool has_step, finished;
    uint64_t next_lsn;
    uint32_t previous;
    uint64_t blocks_read;

    struct io_file *file;
    uint64_t offset;
    uint64_t blocks_written;
    struct archive_digest *digest;
    struct archive_deflater *deflater; /* for head and index */
    struct wal_hasher *hasher;
    struct wal_frontier root;
    struct wal_cover cover;
    bool has_lost;
    struct wal_seal seal;
    bool sealed;
    struct bytes_buffer index;

    enum wf_status status; /* the first failure */
    struct wf_error err;
};

enum job_state { JOB_FREE, JOB_TAKEN, JOB_MADE };

/* A block on its way: read and made by one thread, written when it is its turn, by whichever. */
struct job {
    enum job_state state;
    struct writing *writing;
    struct archive_tables *tables, *checker;
    struct archive_deflater *deflater;
    struct wal_hasher *hasher;
    struct bytes_buffer raw, body, text, member;
    struct archive_frames frames;
    uint64_t number;
    enum wal_frame_kind kind; /* of its frames */
    struct archive_encoded encoded;
    uint8_t leaves[ARCHIVE_BLOCK_RECORDS][WAL_HASH_SIZE];
    struct wal_cover cover; /* of its records in the tree of all */
    struct wal_cover own;   /* … and in that of the segment */
};

/* --- reading the segment: the mutex is held --- */

static enum wf_status segment_damage(const struct writing *writing, uint64_t offset,
                                     const char *why, struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "segment %s, offset %" PRIu64 ", LSN %" PRIu64 ": %s",
                     writing->segment->name, offset, writing->next_lsn, why);
}

/* The next frame into writing->step; `finished` at the end. */
static enum wf_status look_ahead(struct writing *writing, struct wf_error *err) {
    if (writing->has_step || writing->finished)
        return WF_OK;
    if (writing->reader.offset >= writing->segment->size) {
        writing->finished = true;
        return WF_OK;
    }
    struct wal_step *step = &writing->step;
    enum wf_status status = wal_reader_next(&writing->reader, step, err);
    if (status != WF_OK)
        return status;
    if (step->found != WAL_FOUND_FRAME)
        return segment_damage(writing, step->offset,
                              step->why != NULL ? step->why : "the segment ends here", err);
    if (step->frame.lsn != writing->next_lsn || step->frame.previous != writing->previous)
        return segment_damage(writing, step->offset,
                              "the frame does not continue the one before it", err);
    writing->has_step = true;
    return WF_OK;
}

static void take_step(struct writing *writing, struct job *job) {
    const struct wal_frame *frame = &writing->step.frame;
    const uint8_t *bytes = frame->payload.data - WAL_FRAME_HEADER_SIZE;
    bytes_write_run(&job->raw, bytes, (size_t)wal_frame_checked_size(frame));
    job->frames.size += frame->size;
    job->frames.count += wal_frame_next_lsn(frame) - frame->lsn;
    job->frames.chain = wal_frame_chain(frame);
    writing->previous = job->frames.chain;
    writing->next_lsn = wal_frame_next_lsn(frame);
    writing->has_step = false;
    if (frame->kind == WAL_FRAME_SEAL) {
        wal_seal_decode(frame->payload.data, &writing->seal);
        writing->sealed = true;
    }
    writing->has_lost |= frame->kind == WAL_FRAME_LOST;
}

static bool fits(const struct writing *writing, const struct job *job) {
    const struct wal_frame *frame = &writing->step.frame;
    if (job->raw.size == 0)
        return true;
    return job->kind == WAL_FRAME_RECORD && frame->kind == WAL_FRAME_RECORD &&
           job->raw.size + frame->size <= ARCHIVE_BLOCK_BYTES &&
           (frame->lsn - 1) % ARCHIVE_BLOCK_RECORDS != 0;
}

/* The frames of the next block; none at the end. */
static enum wf_status read_block(struct writing *writing, struct job *job, struct wf_error *err) {
    bytes_buffer_clear(&job->raw);
    job->frames = (struct archive_frames){.first_lsn = writing->next_lsn,
                                          .previous = writing->previous,
                                          .chain = writing->previous,
                                          .made = true};
    enum wf_status status = look_ahead(writing, err);
    while (status == WF_OK && writing->has_step && fits(writing, job)) {
        if (job->raw.size == 0) {
            job->frames.offset = writing->step.offset;
            job->kind = writing->step.frame.kind;
        }
        take_step(writing, job);
        status = look_ahead(writing, err);
    }
    if (status == WF_OK && !bytes_buffer_ok(&job->raw))
        status = error_set(err, WF_NO_MEMORY, "no memory to archive");
    job->frames.bytes = (struct bytes_view){job->raw.data, job->raw.size};
    job->number = writing->blocks_read;
    writing->blocks_read += job->raw.size > 0;
    return status;
}

/* --- a block's own work: no mutex --- */

static const char *time_text(int64_t time_ms, char text[40]) {
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    if (time_ms <= 0 || gmtime_r(&seconds, &parts) == NULL)
        return strcpy(text, "");
    size_t used = strftime(text, 40, "%Y-%m-%dT%H:%M:%S", &parts);
    (void)snprintf(text + used, 40 - used, ".%03dZ", (int)(time_ms % 1000));
    return text;
}

static void write_block_line(struct job *job) {
    char line[LINE_MAX_SIZE];
    char first[40];
    char last[40];
    int size =
        snprintf(line, sizeof line,
                 "{\"block\":%" PRIu64 ",\"first_lsn\":%" PRIu64 ",\"last_lsn\":%" PRIu64
                 ",\"first_time\":\"%s\",\"last_time\":\"%s\",\"bytes\":%zu}\n",
                 job->number, job->frames.first_lsn, job->frames.first_lsn + job->frames.count - 1,
                 time_text(job->encoded.first_ms, first), time_text(job->encoded.last_ms, last),
                 job->raw.size);
    bytes_write_run(&job->text, line, (size_t)size);
}

static enum wf_status hash_frame(void *ctx, const struct wal_frame *frame, uint64_t offset,
                                 struct wf_error *err) {
    struct job *job = ctx;
    (void)offset;
    if (frame->kind == WAL_FRAME_RECORD &&
        !wal_merkle_leaf(job->hasher, frame->lsn, frame->payload,
                         job->leaves[frame->lsn - job->frames.first_lsn]))
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    return WF_OK;
}

/* The hash of the i-th record of the block; of a lost frame they are made here, in `lost`. NULL:
 * libcrypto failed. */
static const uint8_t *leaf_of(const struct job *job, uint64_t i, uint8_t lost[WAL_HASH_SIZE]) {
    if (job->kind == WAL_FRAME_RECORD)
        return job->leaves[i];
    struct bytes_view nothing = {NULL, 0};
    return wal_merkle_leaf(job->hasher, job->frames.first_lsn + i, nothing, lost) ? lost : NULL;
}

/* The hashes that stand for the block in either tree. */
static enum wf_status cover_block(struct job *job, struct wf_error *err) {
    const struct archive_frames *frames = &job->frames;
    uint64_t all = frames->first_lsn - 1; /* index of the first leaf in the tree of all records */
    uint64_t own = frames->first_lsn - job->writing->segment->first_lsn;
    wal_cover_deinit(&job->cover);
    wal_cover_deinit(&job->own);
    bool ok = wal_cover_init(&job->cover, all, all + frames->count);
    ok = wal_cover_init(&job->own, own, own + frames->count) && ok;
    for (uint64_t i = 0; ok && i < frames->count; i++) {
        uint8_t lost[WAL_HASH_SIZE];
        const uint8_t *leaf = leaf_of(job, i, lost);
        ok = leaf != NULL && wal_cover_add(&job->cover, job->hasher, 0, leaf) &&
             wal_cover_add(&job->own, job->hasher, 0, leaf);
    }
    return ok ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory to archive");
}

static enum wf_status make_block(struct job *job, struct wf_error *err) {
    const struct writing *writing = job->writing;
    bytes_buffer_clear(&job->body);
    bytes_buffer_clear(&job->text);
    bytes_buffer_clear(&job->member);
    enum wf_status status =
        archive_block_encode(job->tables, job->checker, &writing->options->hints, writing->seed,
                             &job->frames, &job->body, &job->encoded, err);
    if (status == WF_OK) {
        write_block_line(job);
        size_t plain = job->encoded.plain == 0 ? 0 : job->text.size + job->encoded.plain;
        bytes_write_run(&job->text, job->body.data, job->body.size);
        bytes_write_u8(&job->text, '\n');
        struct bytes_view text = {job->text.data, job->text.size};
        status = bytes_buffer_ok(&job->text)
                     ? archive_member_write(job->deflater, text, plain, &job->member, err)
                     : error_set(err, WF_NO_MEMORY, "no memory to archive");
    }
    if (status == WF_OK)
        status = archive_frames_walk(&job->frames, writing->seed, hash_frame, job, err);
    return status == WF_OK ? cover_block(job, err) : status;
}

/* --- writing in order: the mutex is held --- */

static enum wf_status put(struct writing *writing, const struct bytes_buffer *member,
                          struct wf_error *err) {
    enum wf_status status =
        io_write_all(writing->io, writing->file, writing->offset, member->data, member->size, err);
    if (status == WF_OK && !archive_digest_add(writing->digest, member->data, member->size))
        status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    writing->offset += member->size;
    return status;
}

/* The block into the tree of all records and into the segment's, by the hashes that stand for it.
 */
static bool add_hashes(struct writing *writing, const struct job *job) {
    uint64_t at = job->cover.first;
    bool ok = true;
    for (size_t i = 0; ok && i < job->cover.count; i++) {
        unsigned level = wal_cover_level(at, job->cover.end);
        ok = wal_cover_add(&writing->cover, writing->hasher, level, job->cover.hashes[i]);
        at += (uint64_t)1 << level;
    }
    at = job->own.first;
    for (size_t i = 0; ok && i < job->own.count; i++) {
        unsigned level = wal_cover_level(at, job->own.end);
        ok = wal_frontier_add_subtree(&writing->root, writing->hasher, level, job->own.hashes[i]);
        at += (uint64_t)1 << level;
    }
    return ok;
}

static enum wf_status put_block(struct writing *writing, const struct job *job,
                                struct wf_error *err) {
    const struct archive_frames *frames = &job->frames;
    bool ok = add_hashes(writing, job);
    bytes_write_varint(&writing->index, writing->offset);
    bytes_write_varint(&writing->index, job->member.size);
    bytes_write_varint(&writing->index, frames->first_lsn);
    bytes_write_varint(&writing->index, frames->count);
    if (ok)
        bytes_write_run(&writing->index, job->cover.hashes, job->cover.count * WAL_HASH_SIZE);
    if (!ok || !bytes_buffer_ok(&writing->index))
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    if (job->encoded.first_ms > 0 && writing->entry->first_ms == 0)
        writing->entry->first_ms = job->encoded.first_ms;
    if (job->encoded.last_ms > 0)
        writing->entry->last_ms = job->encoded.last_ms;
    if (writing->options->on_progress != NULL)
        writing->options->on_progress(writing->options->ctx, frames->offset + frames->size);
    return put(writing, &job->member, err);
}

/* --- the threads --- */

static void fail(struct writing *writing, enum wf_status status, const struct wf_error *err) {
    if (status == WF_OK || writing->status != WF_OK)
        return;
    writing->status = status;
    writing->err = *err;
}

static struct job *find_job(const struct writing *writing, enum job_state state, uint64_t number) {
    for (size_t i = 0; i < writing->job_count; i++) {
        struct job *job = writing->jobs[i];
        if (job->state == state && (state == JOB_FREE || job->number == number))
            return job;
    }
    return NULL;
}

/* All blocks whose turn it is. */
static void write_made(struct writing *writing) {
    struct job *job = find_job(writing, JOB_MADE, writing->blocks_written);
    while (job != NULL && writing->status == WF_OK) {
        struct wf_error err = {.status = WF_OK};
        fail(writing, put_block(writing, job, &err), &err);
        writing->blocks_written++;
        job->state = JOB_FREE;
        job = find_job(writing, JOB_MADE, writing->blocks_written);
    }
    pthread_cond_broadcast(&writing->freed);
}

/* Blocks, one after the other, until there are no more. */
static void work(struct writing *writing) {
    pthread_mutex_lock(&writing->mutex);
    while (writing->status == WF_OK) {
        struct wf_error err = {.status = WF_OK};
        struct job *job = find_job(writing, JOB_FREE, 0);
        if (job == NULL) {
            pthread_cond_wait(&writing->freed, &writing->mutex);
            continue;
        }
        enum wf_status status = read_block(writing, job, &err);
        fail(writing, status, &err);
        if (status != WF_OK || job->raw.size == 0)
            break;
        job->state = JOB_TAKEN;
        pthread_mutex_unlock(&writing->mutex);
        status = make_block(job, &err);
        pthread_mutex_lock(&writing->mutex);
        fail(writing, status, &err);
        job->state = JOB_MADE;
        write_made(writing);
    }
    pthread_cond_broadcast(&writing->freed);
    pthread_mutex_unlock(&writing->mutex);
}

static void *work_thread(void *writing) {
    work(writing);
    return NULL;
}

static void job_destroy(struct job *job) {
    if (job == NULL)
        return;
    archive_tables_destroy(job->tables);
    archive_tables_destroy(job->checker);
    archive_deflater_destroy(job->deflater);
    wal_hasher_destroy(job->hasher);
    wal_cover_deinit(&job->cover);
    wal_cover_deinit(&job->own);
    bytes_buffer_deinit(&job->raw);
    bytes_buffer_deinit(&job->body);
    bytes_buffer_deinit(&job->text);
    bytes_buffer_deinit(&job->member);
    free(job);
}

static struct job *job_create(struct writing *writing) {
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->writing = writing;
    bytes_buffer_init(&job->raw);
    bytes_buffer_init(&job->body);
    bytes_buffer_init(&job->text);
    bytes_buffer_init(&job->member);
    job->tables = archive_tables_create();
    job->checker = archive_tables_create();
    job->deflater = archive_deflater_create();
    job->hasher = wal_hasher_create();
    if (job->tables != NULL && job->checker != NULL && job->deflater != NULL && job->hasher != NULL)
        return job;
    job_destroy(job);
    return NULL;
}

/* One thread needs one job; where there are more, a few to spare. */
static void create_jobs(struct writing *writing, unsigned threads) {
    size_t count = threads == 1 ? 1 : threads + SPARE_JOBS;
    while (writing->job_count < count) {
        struct job *job = job_create(writing);
        if (job == NULL)
            return; /* the others will do */
        writing->jobs[writing->job_count++] = job;
    }
}

/* The caller's own thread does the work too: where no other can be had it does all of it. */
static enum wf_status run_jobs(struct writing *writing, struct wf_error *err) {
    unsigned threads = writing->options->threads;
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? (unsigned)THREADS_MAX : threads;
    pthread_t ids[THREADS_MAX];
    unsigned running = 0;
    create_jobs(writing, threads);
    if (writing->job_count == 0)
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    while (running + 1 < threads && thread_start(&ids[running], work_thread, writing))
        running++;
    work(writing);
    for (unsigned i = 0; i < running; i++)
        (void)pthread_join(ids[i], NULL);
    for (size_t i = 0; i < writing->job_count; i++)
        job_destroy(writing->jobs[i]);
    return writing->status == WF_OK ? WF_OK
                                    : error_set(err, writing->status, "%s", writing->err.text);
}

/* --- head, index, all of it --- */

static enum wf_status put_text(struct writing *writing, const struct bytes_buffer *text,
                               struct wf_error *err) {
    struct bytes_buffer member;
    bytes_buffer_init(&member);
    enum wf_status status =
        bytes_buffer_ok(text)
            ? archive_member_write(writing->deflater, (struct bytes_view){text->data, text->size},
                                   0, &member, err)
            : error_set(err, WF_NO_MEMORY, "no memory to archive");
    if (status == WF_OK)
        status = put(writing, &member, err);
    bytes_buffer_deinit(&member);
    return status;
}

static enum wf_status put_head(struct writing *writing, const uint8_t *header,
                               struct wf_error *err) {
    struct bytes_buffer text;
    char line[LINE_MAX_SIZE];
    bytes_buffer_init(&text);
    int size = snprintf(line, sizeof line,
                        "{\"wf_archive\":1,\"segment\":\"%s\",\"first_lsn\":%" PRIu64
                        ",\"last_lsn\":%" PRIu64 ",\"bytes\":%" PRIu64 "}\n",
                        writing->segment->name, writing->segment->first_lsn,
                        writing->segment->last_lsn, writing->segment->size);
    bytes_write_run(&text, line, (size_t)size);
    bytes_write_run(&text, header, WAL_SEGMENT_HEADER_SIZE);
    bytes_write_u8(&text, '\n');
    enum wf_status status = put_text(writing, &text, err);
    bytes_buffer_deinit(&text);
    return status;
}

static enum wf_status put_index(struct writing *writing, struct wf_error *err) {
    struct bytes_buffer text;
    char line[LINE_MAX_SIZE];
    bytes_buffer_init(&text);
    int size = snprintf(line, sizeof line, "{\"index\":%" PRIu64 "}\n", writing->blocks_written);
    bytes_write_run(&text, line, (size_t)size);
    bytes_write_varint(&text, writing->blocks_written);
    bytes_write_run(&text, writing->index.data, writing->index.size);
    bytes_write_u8(&text, '\n');
    writing->entry->index_offset = writing->offset;
    enum wf_status status = put_text(writing, &text, err);
    writing->entry->index_size = writing->offset - writing->entry->index_offset;
    bytes_buffer_deinit(&text);
    return status;
}

/* Do the frames come to what the seal says? */
static enum wf_status check_seal(struct writing *writing, struct wf_error *err) {
    struct archive_entry *entry = writing->entry;
    if (!wal_cover_is_whole(&writing->cover) || writing->next_lsn != entry->last_lsn + 1)
        return segment_damage(writing, writing->reader.offset, "the segment ends here", err);
    uint8_t root[WAL_HASH_SIZE];
    if (!wal_frontier_root(&writing->root, writing->hasher, root))
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    entry->sealed = writing->sealed;
    memcpy(entry->root, writing->sealed ? writing->seal.root : root, WAL_HASH_SIZE);
    if (writing->sealed && !writing->has_lost && memcmp(root, entry->root, sizeof root) != 0)
        return segment_damage(writing, writing->reader.offset,
                              "the seal's Merkle root is not that of the records", err);
    entry->cover_count = writing->cover.count;
    memcpy(entry->cover, writing->cover.hashes, writing->cover.count * WAL_HASH_SIZE);
    return WF_OK;
}

static enum wf_status write_members(struct writing *writing, const uint8_t *header,
                                    struct wf_error *err) {
    enum wf_status status = put_head(writing, header, err);
    if (status == WF_OK)
        status = run_jobs(writing, err);
    if (status == WF_OK)
        status = check_seal(writing, err);
    if (status == WF_OK)
        status = put_index(writing, err);
    if (status == WF_OK && !archive_digest_end(writing->digest, writing->entry->sha256))
        status = error_set(err, WF_NO_MEMORY, "libcrypto cannot hash");
    writing->entry->size = writing->offset;
    writing->entry->chain = writing->previous;
    return status;
}

static enum wf_status start(struct writing *writing, struct io_file *segment_file,
                            uint8_t header_bytes[WAL_SEGMENT_HEADER_SIZE], struct wf_error *err) {
    struct wal_segment_header header;
    size_t got = 0;
    enum wf_status status =
        io_read_all(writing->io, segment_file, 0, header_bytes, WAL_SEGMENT_HEADER_SIZE, &got, err);
    if (status != WF_OK)
        return status;
    if (wal_segment_header_decode(header_bytes, got, &header) != WAL_HEADER_GOOD ||
        header.first_lsn != writing->segment->first_lsn)
        return segment_damage(writing, 0, "the segment header is damaged", err);
    writing->seed = wal_frame_seed(header.store_id);
    writing->previous = header.previous;
    writing->entry->previous = header.previous;
    status = wal_reader_start(&writing->reader, segment_file, writing->seed,
                              WAL_SEGMENT_HEADER_SIZE, err);
    writing->digest = archive_digest_create();
    writing->deflater = archive_deflater_create();
    writing->hasher = wal_hasher_create();
    bool ok = wal_cover_init(&writing->cover, writing->segment->first_lsn - 1,
                             writing->segment->last_lsn);
    if (!ok || writing->digest == NULL || writing->deflater == NULL || writing->hasher == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    return status;
}

static void release(struct writing *writing) {
    wal_reader_deinit(&writing->reader);
    archive_digest_destroy(writing->digest);
    archive_deflater_destroy(writing->deflater);
    wal_hasher_destroy(writing->hasher);
    wal_cover_deinit(&writing->cover);
    bytes_buffer_deinit(&writing->index);
    pthread_cond_destroy(&writing->freed);
    pthread_mutex_destroy(&writing->mutex);
}

enum wf_status archive_file_write(struct io *io, const char *wal_dir,
                                  const struct wal_segment_info *segment, const char *path,
                                  const struct archive_options *options,
                                  struct archive_entry *entry, struct io_file **file,
                                  struct wf_error *err) {
    *entry = (struct archive_entry){.first_lsn = segment->first_lsn,
                                    .last_lsn = segment->last_lsn,
                                    .segment_size = segment->size};
    struct writing writing = {.io = io,
                              .options = options,
                              .segment = segment,
                              .entry = entry,
                              .next_lsn = segment->first_lsn};
    struct io_file *segment_file = NULL;
    uint8_t header[WAL_SEGMENT_HEADER_SIZE];
    pthread_mutex_init(&writing.mutex, NULL);
    pthread_cond_init(&writing.freed, NULL);
    bytes_buffer_init(&writing.index);
    wal_reader_init(&writing.reader, io);
    enum wf_status status =
        wal_segment_open(io, wal_dir, segment->name, IO_READ, &segment_file, err);
    if (status == WF_OK)
        status = start(&writing, segment_file, header, err);
    if (status == WF_OK)
        status = io->ops->open(io, path, IO_WRITE | IO_CREATE, &writing.file, err);
    if (status == WF_OK)
        status = io->ops->truncate(io, writing.file, 0, err);
    if (status == WF_OK)
        status = write_members(&writing, header, err);
    *file = writing.file;
    if (status != WF_OK && writing.file != NULL) {
        io->ops->close(io, writing.file);
        *file = NULL;
    }
    if (segment_file != NULL)
        io->ops->close(io, segment_file);
    release(&writing);
    return status;
}
