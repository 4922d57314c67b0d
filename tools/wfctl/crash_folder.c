#include "base/error.h"
#include "base/io.h"
#include "tools/wfctl/crash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FOLDERS_MAX = 16, BLOCK_SIZE = 4096 };

enum wf_status crash_folder_make(char path[PATH_MAX], struct wf_error *err) {
    const char *parent = getenv("TMPDIR");
    snprintf(path, PATH_MAX, "%.*s/wfctl-crash-XXXXXX", PATH_MAX - 32,
             parent && *parent ? parent : "/tmp");
    return mkdtemp(path) ? WF_OK
                         : error_set(err, WF_IO, "cannot make %s: %s", path, strerror(errno));
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where) {
    (void)info;
    (void)kind;
    (void)where;
    (void)remove(path); /* what stays behind is temporary */
    return 0;
}

void crash_folder_remove(const char *path) {
    (void)nftw(path, remove_one, OPEN_FOLDERS_MAX, FTW_DEPTH | FTW_PHYS);
}

/* The newest segment: names sort as their first LSNs do. */
static bool find_newest(const char *wal, char newest[NAME_MAX + 1]) {
    DIR *names = opendir(wal);
    newest[0] = '\0';
    for (struct dirent *entry; names && (entry = readdir(names));) {
        if (io_name_ends_in(entry->d_name, ".seg") && strcmp(entry->d_name, newest) > 0)
            snprintf(newest, NAME_MAX + 1, "%s", entry->d_name);
    }
    if (names)
        closedir(names);
    return newest[0] != '\0';
}

/* The offset of the last byte that is not 0: behind it is space that was reserved. -1: none. */
static off_t last_byte(int fd) {
    struct stat info;
    off_t end = fstat(fd, &info) == 0 ? info.st_size : 0;
    while (end > 0) {
        uint8_t block[BLOCK_SIZE];
        off_t begin = (end - 1) / BLOCK_SIZE * BLOCK_SIZE;
        if (pread(fd, block, (size_t)(end - begin), begin) != end - begin)
            return -1;
        while (end > begin && block[end - 1 - begin] == 0)
            end--;
        if (end > begin)
            return end - 1;
    }
    return -1;
}

enum wf_status crash_folder_tear(const char *dir, struct wf_error *err) {
    char wal[PATH_MAX], name[NAME_MAX + 1], path[PATH_MAX + NAME_MAX + 2];
    snprintf(wal, sizeof wal, "%.*s/wal", PATH_MAX - 8, dir);
    if (!find_newest(wal, name))
        return error_set(err, WF_IO, "%s has no segment", wal);
    snprintf(path, sizeof path, "%s/%s", wal, name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    off_t last = fd < 0 ? -1 : last_byte(fd);
    bool torn = last > 0 && ftruncate(fd, last) == 0;
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return torn ? WF_OK : error_set(err, WF_IO, "cannot cut %s: %s", path, strerror(reason));
}
