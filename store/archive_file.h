/* One archive file: written from a segment by several threads, and read block by block. Only
 * store/archive*.c include this. */
#ifndef STORE_ARCHIVE_FILE_H
#define STORE_ARCHIVE_FILE_H

#include "store/archive.h"
#include "store/archive_member.h"

/* A block as the index has it. */
struct archive_index_block {
    uint64_t offset, size; /* of its member in the file */
    uint64_t first_lsn, count;
    const uint8_t (*cover)[WAL_HASH_SIZE]; /* of its records; into the index's bytes */
};

struct archive_index {
    struct archive_index_block *blocks;
    size_t count;
    struct bytes_buffer bytes;
};

/* Reads blocks; owns its memory, borrows nothing but the io. One thread at a time. */
struct archive_cursor {
    struct io *io;
    uint32_t seed;
    struct archive_inflater *inflater;
    struct archive_tables *tables;
    struct io_file *file; /* NULL: none is open */
    char name[ARCHIVE_NAME_SIZE];
    uint64_t file_size;
    struct bytes_buffer member, text, frames;
};

enum wf_status archive_cursor_init(struct archive_cursor *cursor, struct io *io, uint32_t seed,
                                   struct wf_error *err);
void archive_cursor_deinit(struct archive_cursor *cursor);
/* Open the file; the one before is closed. */
enum wf_status archive_cursor_open(struct archive_cursor *cursor, const char *dir, const char *name,
                                   struct wf_error *err);
/* Read and decode the block at `offset`, whose member has `size` bytes: cursor->frames holds the
 * frames then. WF_DAMAGE. */
enum wf_status archive_cursor_block(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                                    struct archive_frames *frames, struct wf_error *err);
/* Read the index of an archive. deinit it. WF_DAMAGE. */
enum wf_status archive_cursor_index(struct archive_cursor *cursor,
                                    const struct archive_entry *entry, struct archive_index *index,
                                    struct wf_error *err);
void archive_index_deinit(struct archive_index *index);
/* The member at `offset`: its text without the first line. Lives until the next call. */
enum wf_status archive_cursor_member(struct archive_cursor *cursor, uint64_t offset, uint64_t size,
                                     struct bytes_view *body, struct wf_error *err);
/* The sizes that the member at `offset` announces; `*size` 0: the file ends here. */
enum wf_status archive_cursor_next(struct archive_cursor *cursor, uint64_t offset, uint64_t *size,
                                   struct wf_error *err);
/* SHA-256 of the whole file. */
enum wf_status archive_cursor_digest(struct archive_cursor *cursor, uint8_t sha256[WAL_HASH_SIZE],
                                     struct wf_error *err);

/* Walk frames that were decoded: `on_frame` for each. The payload lives in the frames. */
typedef enum wf_status (*archive_frame_fn)(void *ctx, const struct wal_frame *frame,
                                           uint64_t offset, struct wf_error *err);
enum wf_status archive_frames_walk(const struct archive_frames *frames, uint32_t seed,
                                   archive_frame_fn on_frame, void *ctx, struct wf_error *err);

/* Write the archive of a segment to `path`, and describe it in `entry` (all but the name). `*file`
 * is left open for the caller to sync and close; NULL where it fails. */
enum wf_status archive_file_write(struct io *io, const char *wal_dir,
                                  const struct wal_segment_info *segment, const char *path,
                                  const struct archive_options *options,
                                  struct archive_entry *entry, struct io_file **file,
                                  struct wf_error *err);

/* SHA-256 in steps; NULL, and false, where libcrypto fails. */
struct archive_digest;
struct archive_digest *archive_digest_create(void);
bool archive_digest_add(struct archive_digest *digest, const void *data, size_t size);
bool archive_digest_end(struct archive_digest *digest, uint8_t sha256[WAL_HASH_SIZE]);
void archive_digest_destroy(struct archive_digest *digest);

#endif
