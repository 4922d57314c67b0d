#include "tests/crash/image.h"
#include "tests/crash/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool complain(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
}

static bool read_file(const char *path, uint8_t **data, size_t *size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0)
        return complain(path);
    *size = (size_t)info.st_size;
    *data = malloc(*size + 1);
    size_t got = 0;
    while (*data != NULL && got < *size) {
        ssize_t more = read(fd, *data + got, *size - got);
        if (more <= 0)
            break;
        got += (size_t)more;
    }
    close(fd);
    return *data != NULL && got == *size ? true : complain(path);
}

static bool read_below(struct image *image, const char *dir, const char *below) {
    char path[PATH_MAX];
    DIR *names = opendir(scratch_join(path, dir, below));
    if (names == NULL)
        return complain(path);
    bool good = true;
    for (struct dirent *entry; good && (entry = readdir(names)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct image_file *file = &image->files[image->count];
        struct stat info;
        int length = snprintf(file->name, sizeof file->name, "%s%s%s", below,
                              below[0] == '\0' ? "" : "/", entry->d_name);
        good = image->count < IMAGE_FILES_MAX - 1 && length < IMAGE_NAME_MAX &&
               lstat(scratch_join(path, dir, file->name), &info) == 0;
        if (!good)
            break;
        image->count++;
        if (S_ISDIR(info.st_mode)) {
            char name[IMAGE_NAME_MAX];
            memcpy(name, file->name, sizeof name);
            file->data = NULL;
            good = read_below(image, dir, name);
        } else
            good = read_file(path, &file->data, &file->size);
    }
    closedir(names);
    return good;
}

bool image_read(struct image *image, const char *dir) {
    image->count = 0;
    return read_below(image, dir, "");
}

void image_free(struct image *image) {
    for (size_t i = 0; i < image->count; i++)
        free(image->files[i].data);
    image->count = 0;
}

/* LMDB's table of who reads, written by every reader: no part of what the store says. */
static bool is_table_of_readers(const struct image_file *file) {
    const char *slash = strrchr(file->name, '/');
    return slash != NULL && strcmp(slash, "/lock.mdb") == 0;
}

static bool is_skipped(const struct image_file *file, const char *skip) {
    return skip != NULL && strncmp(file->name, skip, strlen(skip)) == 0;
}

bool image_write_file(const struct image_file *file, const char *dir, size_t size) {
    char path[PATH_MAX];
    int fd =
        open(scratch_join(path, dir, file->name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return complain(path);
    size_t put = 0;
    while (put < size) {
        ssize_t more = write(fd, file->data + put, size - put);
        if (more <= 0)
            break;
        put += (size_t)more;
    }
    close(fd);
    return put == size ? true : complain(path);
}

bool image_write(const struct image *image, const char *dir, const char *skip) {
    scratch_remove(dir);
    if (mkdir(dir, 0700) != 0)
        return complain(dir);
    for (size_t i = 0; i < image->count; i++) {
        const struct image_file *file = &image->files[i];
        char path[PATH_MAX];
        if (is_skipped(file, skip))
            continue;
        if (file->data == NULL ? mkdir(scratch_join(path, dir, file->name), 0700) != 0
                               : !image_write_file(file, dir, file->size))
            return complain(file->name);
    }
    return true;
}

static bool is_same(const struct image_file *a, const struct image_file *b) {
    if (a->data == NULL || b->data == NULL)
        return a->data == b->data;
    return is_table_of_readers(a) || (a->size == b->size && memcmp(a->data, b->data, a->size) == 0);
}

const char *image_difference(const struct image *image, const char *dir, const char *skip) {
    static char name[IMAGE_NAME_MAX];
    struct image now;
    size_t expected = 0;
    name[0] = '\0';
    if (!image_read(&now, dir))
        snprintf(name, sizeof name, "(unreadable)");
    for (size_t i = 0; i < image->count && name[0] == '\0'; i++) {
        const struct image_file *file = &image->files[i];
        if (is_skipped(file, skip))
            continue;
        expected++;
        bool same = false;
        for (size_t j = 0; j < now.count && !same; j++)
            same = strcmp(now.files[j].name, file->name) == 0 && is_same(file, &now.files[j]);
        if (!same)
            memcpy(name, file->name, sizeof name);
    }
    if (name[0] == '\0' && now.count != expected)
        snprintf(name, sizeof name, "(another number of files)");
    image_free(&now);
    return name[0] == '\0' ? NULL : name;
}
