/* A store's folder, held in memory, so that thousands of damaged copies of it can be made. */
#ifndef CRASH_IMAGE_H
#define CRASH_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IMAGE_FILES_MAX = 64, IMAGE_NAME_MAX = 128 };

struct image_file {
    char name[IMAGE_NAME_MAX]; /* relative to the folder */
    uint8_t *data;             /* NULL: a folder */
    size_t size;
};
struct image {
    struct image_file files[IMAGE_FILES_MAX]; /* folders before what is in them */
    size_t count;
};

/* Read all of `dir`. False, and said on stderr, where that fails. */
bool image_read(struct image *image, const char *dir);
void image_free(struct image *image);
/* Make `dir` like the image, whatever was there. Names that begin with `skip` (NULL: none) are left
 * out. */
bool image_write(const struct image *image, const char *dir, const char *skip);
/* Write the first `size` bytes of one file anew. */
bool image_write_file(const struct image_file *file, const char *dir, size_t size);
/* The name of the first file of `dir` that differs from the image, was added or is gone; NULL:
 * none. The string lives until the next call. */
const char *image_difference(const struct image *image, const char *dir, const char *skip);

#endif
