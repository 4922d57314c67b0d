#include "tests/crash/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char *scratch_join(char path[PATH_MAX], const char *dir, const char *name) {
    if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX) {
        fprintf(stderr, "%s/%s: too long\n", dir, name);
        exit(1);
    }
    return path;
}

void scratch_make(char path[PATH_MAX], const char *parent, const char *name) {
    char pattern[64];
    if (parent == NULL)
        parent = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
    snprintf(pattern, sizeof pattern, "%s-XXXXXX", name);
    if (mkdtemp(scratch_join(path, parent, pattern)) == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
}

void scratch_remove(const char *path) {
    DIR *names = opendir(path);
    if (names == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(names)) != NULL;) {
        char child[PATH_MAX];
        struct stat info;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            lstat(scratch_join(child, path, entry->d_name), &info) != 0)
            continue;
        if (S_ISDIR(info.st_mode))
            scratch_remove(child);
        else
            unlink(child);
    }
    closedir(names);
    rmdir(path);
}

uint64_t choices_next(struct choices *choices) {
    uint64_t z = choices->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

uint64_t choices_below(struct choices *choices, uint64_t bound) {
    return choices_next(choices) % bound;
}

bool choices_one_in(struct choices *choices, unsigned n) {
    return choices_below(choices, n) == 0;
}

uint64_t scratch_setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : otherwise;
}

bool scratch_is_long(void) {
    return scratch_setting("WF_TEST_LONG", 0) != 0;
}

unsigned scratch_slowness(void) {
    enum { UNDER_SANITIZER = 8 };
    const char *sanitizer = getenv("SAN");
    return sanitizer != NULL && sanitizer[0] != '\0' ? UNDER_SANITIZER : 1;
}

uint64_t scratch_now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
