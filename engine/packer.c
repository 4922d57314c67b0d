#include "engine/packer.h"

#include <string.h>

void *packer_take(struct packer *packer, size_t size) {
    size_t at = (packer->used + 7) & ~(size_t)7;
    packer->used = at + size;
    return packer->base == NULL ? NULL : packer->base + at;
}

const char *packer_text(struct packer *packer, const void *text, size_t size) {
    size_t at = packer->used; /* strings need no alignment */
    packer->used += size + 1;
    if (packer->base == NULL) {
        return NULL;
    }
    char *copy = (char *)packer->base + at;
    if (size > 0) {
        memcpy(copy, text, size);
    }
    copy[size] = '\0';
    return copy;
}

const char *packer_string(struct packer *packer, const char *text) {
    return text == NULL ? NULL : packer_text(packer, text, strlen(text));
}
