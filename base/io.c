#include "base/io.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum wf_status io_write_all(struct io *io, struct io_file *file, uint64_t offset, const void *data,
                            size_t size, struct wf_error *err) {
    const uint8_t *bytes = data;
    size_t done = 0;
    while (done < size) {
        size_t put = 0;
        enum wf_status status =
            io->ops->write(io, file, offset + done, bytes + done, size - done, &put, err);
        if (status != WF_OK)
            return status;
        if (put == 0)
            return error_set(err, WF_IO, "write at offset %" PRIu64 ": no byte went out",
                             offset + done);
        done += put;
    }
    return WF_OK;
}

enum wf_status io_read_all(struct io *io, struct io_file *file, uint64_t offset, void *data,
                           size_t size, size_t *got, struct wf_error *err) {
    uint8_t *bytes = data;
    *got = 0;
    while (*got < size) {
        size_t more = 0;
        enum wf_status status =
            io->ops->read(io, file, offset + *got, bytes + *got, size - *got, &more, err);
        if (status != WF_OK)
            return status;
        if (more == 0)
            return WF_OK; /* the end of the file */
        *got += more;
    }
    return WF_OK;
}

void io_point(struct io *io, const char *name) {
    if (io->ops->point != NULL)
        io->ops->point(io, name);
}

char *io_path_join(const char *directory, const char *name) {
    size_t directory_size = strlen(directory);
    size_t name_size = strlen(name);
    bool slash = directory_size > 0 && directory[directory_size - 1] != '/';
    char *path = malloc(directory_size + slash + name_size + 1);
    if (path == NULL)
        return NULL;
    memcpy(path, directory, directory_size);
    if (slash)
        path[directory_size] = '/';
    memcpy(path + directory_size + slash, name, name_size + 1);
    return path;
}

bool io_name_ends_in(const char *name, const char *end) {
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}
