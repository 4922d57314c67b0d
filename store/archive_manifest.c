#include "store/archive_manifest.h"

#include <stdlib.h>
#include <string.h>

const char archive_manifest_name[] = "manifest";
static const char working_name[] = "manifest.tmp";
static const uint8_t magic[8] = "wf-arc\r\n";

enum { VERSION = 1, MANIFEST_MAX = 64 * 1024 * 1024 };

void archive_manifest_deinit(struct archive_manifest *manifest) {
    free(manifest->entries);
    *manifest = (struct archive_manifest){.entries = NULL};
}

enum wf_status archive_manifest_add(struct archive_manifest *manifest,
                                    const struct archive_entry *entry, struct wf_error *err) {
    struct archive_entry *more =
        realloc(manifest->entries, (manifest->count + 1) * sizeof *manifest->entries);
    if (more == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the archives' manifest");
    manifest->entries = more;
    manifest->entries[manifest->count++] = *entry;
    return WF_OK;
}

const struct archive_entry *archive_manifest_find(const struct archive_manifest *manifest,
                                                  uint64_t lsn) {
    size_t low = 0;
    size_t high = manifest->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (manifest->entries[middle].first_lsn <= lsn)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 && lsn <= manifest->entries[low - 1].last_lsn ? &manifest->entries[low - 1]
                                                                 : NULL;
}

static void write_entry(const struct archive_entry *entry, struct bytes_buffer *to) {
    bytes_write_string(to, entry->name, strlen(entry->name));
    bytes_write_varint(to, entry->first_lsn);
    bytes_write_varint(to, entry->last_lsn);
    bytes_write_varint(to, entry->segment_size);
    bytes_write_varint(to, entry->size);
    bytes_write_varint(to, entry->index_offset);
    bytes_write_varint(to, entry->index_size);
    bytes_write_u32(to, entry->previous);
    bytes_write_u32(to, entry->chain);
    bytes_write_zigzag(to, entry->first_ms);
    bytes_write_zigzag(to, entry->last_ms);
    bytes_write_run(to, entry->sha256, sizeof entry->sha256);
    bytes_write_u8(to, entry->sealed);
    bytes_write_run(to, entry->root, sizeof entry->root);
    bytes_write_varint(to, entry->cover_count);
    bytes_write_run(to, entry->cover, entry->cover_count * WAL_HASH_SIZE);
    bytes_write_varint(to, entry->dropped_lsn);
    bytes_write_zigzag(to, entry->dropped_ms);
    bytes_write_string(to, entry->dropped_by, strlen(entry->dropped_by));
}

static void take_text(struct bytes_reader *reader, char *text, size_t size) {
    struct bytes_view view = bytes_read_string(reader);
    if (view.size >= size || (view.size > 0 && memchr(view.data, 0, view.size) != NULL)) {
        bytes_reader_fail(reader);
        return;
    }
    memcpy(text, view.data, view.size);
    text[view.size] = '\0';
}

static void take_hash(struct bytes_reader *reader, uint8_t hash[WAL_HASH_SIZE]) {
    struct bytes_view view = bytes_read_run(reader, WAL_HASH_SIZE);
    if (view.size == WAL_HASH_SIZE)
        memcpy(hash, view.data, WAL_HASH_SIZE);
}

static void read_entry(struct bytes_reader *reader, struct archive_entry *entry) {
    *entry = (struct archive_entry){.first_lsn = 0};
    take_text(reader, entry->name, sizeof entry->name);
    entry->first_lsn = bytes_read_varint(reader);
    entry->last_lsn = bytes_read_varint(reader);
    entry->segment_size = bytes_read_varint(reader);
    entry->size = bytes_read_varint(reader);
    entry->index_offset = bytes_read_varint(reader);
    entry->index_size = bytes_read_varint(reader);
    entry->previous = bytes_read_u32(reader);
    entry->chain = bytes_read_u32(reader);
    entry->first_ms = bytes_read_zigzag(reader);
    entry->last_ms = bytes_read_zigzag(reader);
    take_hash(reader, entry->sha256);
    entry->sealed = bytes_read_u8(reader) != 0;
    take_hash(reader, entry->root);
    uint64_t count = bytes_read_varint(reader);
    bool makes_sense = entry->first_lsn > 0 && entry->first_lsn <= entry->last_lsn &&
                       entry->index_offset <= entry->size &&
                       entry->index_size <= entry->size - entry->index_offset;
    if (!bytes_reader_ok(reader) || !makes_sense ||
        count != wal_cover_count(entry->first_lsn - 1, entry->last_lsn) ||
        count > ARCHIVE_COVER_MAX) {
        bytes_reader_fail(reader);
        return;
    }
    entry->cover_count = (size_t)count;
    for (size_t i = 0; i < entry->cover_count; i++)
        take_hash(reader, entry->cover[i]);
    entry->dropped_lsn = bytes_read_varint(reader);
    entry->dropped_ms = bytes_read_zigzag(reader);
    take_text(reader, entry->dropped_by, sizeof entry->dropped_by);
}

static void encode(const struct archive_manifest *manifest, struct bytes_buffer *to) {
    bytes_write_run(to, magic, sizeof magic);
    bytes_write_u32(to, VERSION);
    bytes_write_run(to, manifest->store_id, WAL_STORE_ID_SIZE);
    bytes_write_varint(to, manifest->count);
    for (size_t i = 0; i < manifest->count; i++)
        write_entry(&manifest->entries[i], to);
    bytes_write_u32(to, crc32c(0, to->data, bytes_buffer_ok(to) ? to->size : 0));
}

static enum wf_status decode(struct bytes_view bytes, struct archive_manifest *manifest,
                             struct wf_error *err) {
    if (bytes.size < sizeof magic + 8 || memcmp(bytes.data, magic, sizeof magic) != 0 ||
        crc32c(0, bytes.data, bytes.size - 4) != bytes_load_u32(bytes.data + bytes.size - 4))
        return error_set(err, WF_DAMAGE, "archive/manifest fails its checksum");
    struct bytes_reader reader =
        bytes_reader_make(bytes.data + sizeof magic, bytes.size - sizeof magic - 4);
    if (bytes_read_u32(&reader) > VERSION)
        return error_set(err, WF_REFUSED, "archive/manifest is of a newer format");
    struct bytes_view id = bytes_read_run(&reader, WAL_STORE_ID_SIZE);
    if (id.size == WAL_STORE_ID_SIZE)
        memcpy(manifest->store_id, id.data, id.size);
    uint64_t count = bytes_read_varint(&reader);
    for (uint64_t i = 0; bytes_reader_ok(&reader) && i < count; i++) {
        struct archive_entry entry;
        read_entry(&reader, &entry);
        if (i > 0 && entry.first_lsn != manifest->entries[i - 1].last_lsn + 1)
            bytes_reader_fail(&reader);
        enum wf_status status =
            bytes_reader_ok(&reader) ? archive_manifest_add(manifest, &entry, err) : WF_OK;
        if (status != WF_OK)
            return status;
    }
    return bytes_reader_done(&reader)
               ? WF_OK
               : error_set(err, WF_DAMAGE, "archive/manifest cannot be understood");
}

static enum wf_status read_bytes(struct io *io, struct io_file *file, struct bytes_buffer *bytes,
                                 struct wf_error *err) {
    uint64_t size;
    size_t got = 0;
    enum wf_status status = io->ops->size(io, file, &size, err);
    if (status != WF_OK)
        return status;
    if (size > MANIFEST_MAX)
        return error_set(err, WF_DAMAGE, "archive/manifest is larger than any");
    uint8_t *at = bytes_buffer_extend(bytes, (size_t)size);
    if (at == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for the archives' manifest");
    status = io_read_all(io, file, 0, at, (size_t)size, &got, err);
    bytes->size = got;
    return status;
}

enum wf_status archive_manifest_read(struct io *io, const char *dir,
                                     struct archive_manifest *manifest, struct wf_error *err) {
    *manifest = (struct archive_manifest){.entries = NULL};
    char *path = io_path_join(dir, archive_manifest_name);
    struct io_file *file = NULL;
    if (path == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    enum wf_status status = io->ops->open(io, path, IO_READ, &file, err);
    free(path);
    if (status != WF_OK)
        return status == WF_NOT_FOUND ? WF_OK : status;
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    status = read_bytes(io, file, &bytes, err);
    io->ops->close(io, file);
    if (status == WF_OK)
        status = decode((struct bytes_view){bytes.data, bytes.size}, manifest, err);
    bytes_buffer_deinit(&bytes);
    if (status != WF_OK)
        archive_manifest_deinit(manifest);
    return status;
}

static enum wf_status put(struct io *io, const char *dir, const char *work, const char *path,
                          const struct bytes_buffer *bytes, struct wf_error *err) {
    struct io_file *file = NULL;
    enum wf_status status = io->ops->open(io, work, IO_WRITE | IO_CREATE, &file, err);
    if (status != WF_OK)
        return status;
    status = io->ops->truncate(io, file, 0, err);
    if (status == WF_OK)
        status = io_write_all(io, file, 0, bytes->data, bytes->size, err);
    if (status == WF_OK)
        status = io->ops->sync(io, file, err);
    io->ops->close(io, file);
    if (status == WF_OK)
        status = io->ops->rename(io, work, path, err);
    return status == WF_OK ? io->ops->sync_directory(io, dir, err) : status;
}

enum wf_status archive_manifest_write(struct io *io, const char *dir,
                                      const struct archive_manifest *manifest,
                                      struct wf_error *err) {
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    encode(manifest, &bytes);
    char *path = io_path_join(dir, archive_manifest_name);
    char *work = io_path_join(dir, working_name);
    enum wf_status status = path == NULL || work == NULL || !bytes_buffer_ok(&bytes)
                                ? error_set(err, WF_NO_MEMORY, "no memory for the manifest")
                                : put(io, dir, work, path, &bytes, err);
    free(path);
    free(work);
    bytes_buffer_deinit(&bytes);
    return status == WF_OK ? WF_OK : error_wrap(err, status, "archive/manifest");
}
