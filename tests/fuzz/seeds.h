/* Seeds of the binary fuzz targets: each target makes its own, so that no bytes have to be kept in
 * the tree. Text seeds stand in tests/fuzz/corpus/. */
#ifndef TESTS_FUZZ_SEEDS_H
#define TESTS_FUZZ_SEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the environment names a folder in FUZZ_SEEDS: make the seeds in it, and end the program. To
 * be called from LLVMFuzzerInitialize(). */
void fuzz_seeds(void (*make)(void));
/* One seed, from inside `make`. */
void fuzz_seed(const void *data, size_t size);
/* A property does not hold: say which, and end as a crash does. */
void fuzz_require(bool holds, const char *what);

/* What libFuzzer calls and gives. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#endif
