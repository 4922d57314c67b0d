#include "tests/fuzz/seeds.h"

#include <stdio.h>
#include <stdlib.h>

void fuzz_seeds(void (*make)(void)) {
    if (getenv("FUZZ_SEEDS") != NULL) {
        make();
        exit(0);
    }
}

void fuzz_seed(const void *data, size_t size) {
    static unsigned number;
    char path[512];
    snprintf(path, sizeof path, "%s/seed-%u", getenv("FUZZ_SEEDS"), number++);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

void fuzz_require(bool holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}
