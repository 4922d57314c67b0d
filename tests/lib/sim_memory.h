/* Memory and seeded randomness for the simulated disk. Test equipment: where memory fails, the run
 * ends, so that no state is explored only by half. */
#ifndef TESTS_LIB_SIM_MEMORY_H
#define TESTS_LIB_SIM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* `count` zeroed elements of `size` bytes; NULL for none. Ends the run where memory fails. */
void *sim_allocate(size_t count, size_t size);
/* Room for one more element behind `count`: returns the array, grown where `*capacity` was reached.
 */
void *sim_grow(void *array, size_t count, size_t *capacity, size_t size);

/* The next number of a seeded sequence (splitmix64): the same everywhere. */
uint64_t sim_random_next(uint64_t *state);
/* The next number from `from` to `to`, both included. */
uint64_t sim_random_between(uint64_t *state, uint64_t from, uint64_t to);
/* A number that depends on both and on nothing else. */
uint64_t sim_random_mix(uint64_t a, uint64_t b);

/* An immutable string that is shared by reference counting: file names, paths of calls. */
struct sim_name;
struct sim_name *sim_name_make(const char *text, size_t size);
struct sim_name *sim_name_share(struct sim_name *name); /* one more owner; takes NULL */
void sim_name_release(struct sim_name *name);           /* one owner less; takes NULL */
const char *sim_name_text(const struct sim_name *name); /* "" for NULL */

#endif
