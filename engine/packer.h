/* One block of memory for a struct, its lists and its strings, handed out piece by piece. Pack
 * twice: with `base` NULL it only adds up what is needed. */
#ifndef ENGINE_PACKER_H
#define ENGINE_PACKER_H

#include <stddef.h>
#include <stdint.h>

struct packer {
    uint8_t *base;
    size_t used;
};

/* NULL while it only adds up. */
void *packer_take(struct packer *packer, size_t size);
/* A terminated copy; NULL while it only adds up. */
const char *packer_text(struct packer *packer, const void *text, size_t size);
const char *packer_string(struct packer *packer, const char *text); /* NULL stays NULL */

#endif
