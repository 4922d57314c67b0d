/* The raw disk: what append + fdatasync cost without any engine. */
#include "tools/wfbench/bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void bench_raw_open(struct bench_raw *raw, const char *dir, uint64_t size) {
    *raw = (struct bench_raw){.size = size};
    bench_path(raw->path, dir, "raw");
    raw->fd = open(raw->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (raw->fd < 0)
        bench_die("%s: %s", raw->path, strerror(errno));
    int reason = posix_fallocate(raw->fd, 0, (off_t)size);
    if (reason != 0)
        bench_die("%s: reserve %llu bytes: %s", raw->path, (unsigned long long)size,
                  strerror(reason));
    if (fsync(raw->fd) != 0)
        bench_die("%s: fsync: %s", raw->path, strerror(errno));
}

/* Bytes that look like records: a disk that compresses or skips zeros gains nothing. */
static void grow_data(struct bench_raw *raw, size_t size) {
    char *data = realloc(raw->data, size);
    if (data == NULL)
        bench_die("no memory for %zu bytes", size);
    uint32_t seed = 1;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (char)(seed >> 24);
    }
    raw->data = data;
    raw->data_size = size;
}

void bench_raw_append(struct bench_raw *raw, size_t size) {
    if (size > raw->data_size)
        grow_data(raw, size);
    if (raw->offset + size > raw->size)
        raw->offset = 0;
    if (pwrite(raw->fd, raw->data, size, (off_t)raw->offset) != (ssize_t)size)
        bench_die("%s: write: %s", raw->path, strerror(errno));
    if (fdatasync(raw->fd) != 0)
        bench_die("%s: fdatasync: %s", raw->path, strerror(errno));
    raw->offset += size;
}

void bench_raw_close(struct bench_raw *raw) {
    close(raw->fd);
    unlink(raw->path);
    free(raw->data);
}

uint64_t bench_raw_groups(const struct bench *bench, uint64_t groups, size_t size) {
    struct bench_raw raw;
    bench_raw_open(&raw, bench->dir, groups * (size + 1));
    uint64_t start = bench_now_ns();
    for (uint64_t group = 0; group < groups; group++)
        bench_raw_append(&raw, size);
    uint64_t ns = bench_now_ns() - start;
    bench_raw_close(&raw);
    return ns;
}

static uint64_t read_file(const char *path, char *buffer, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        bench_die("%s: %s", path, strerror(errno));
    uint64_t total = 0;
    ssize_t got;
    while ((got = read(fd, buffer, size)) > 0)
        total += (uint64_t)got;
    close(fd);
    return total;
}

uint64_t bench_raw_read_all(const char *dir) {
    enum { BUFFER_SIZE = 1 << 20 };
    char *buffer = malloc(BUFFER_SIZE);
    DIR *names = opendir(dir);
    if (buffer == NULL || names == NULL)
        bench_die("%s: %s", dir, strerror(errno));
    uint64_t total = 0;
    for (struct dirent *entry; (entry = readdir(names)) != NULL;) {
        char path[PATH_MAX];
        struct stat info;
        bench_path(path, dir, entry->d_name);
        if (lstat(path, &info) == 0 && S_ISREG(info.st_mode))
            total += read_file(path, buffer, BUFFER_SIZE);
    }
    closedir(names);
    free(buffer);
    return total;
}
