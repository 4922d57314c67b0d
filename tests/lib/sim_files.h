/* Files of a simulated disk in few words, for the tests of that disk. Steps that must work fail the
 * running cmocka test where they do not. Owns nothing. */
#ifndef TESTS_LIB_SIM_FILES_H
#define TESTS_LIB_SIM_FILES_H

#include "tests/lib/sim_io.h"

struct io_file *sim_file_open(struct sim_io *sim, const char *path, unsigned flags);
/* `size` bytes `fill`, 8192 at most. */
enum wf_status sim_file_write(struct sim_io *sim, struct io_file *file, uint64_t offset, char fill,
                              size_t size);
enum wf_status sim_file_sync(struct sim_io *sim, struct io_file *file);
void sim_root_sync(struct sim_io *sim);
void sim_file_close(struct sim_io *sim, struct io_file *file);
/* A durable file of `size` bytes `fill`, closed. */
void sim_file_make(struct sim_io *sim, const char *path, char fill, size_t size);

bool sim_file_exists(struct sim_io *sim, const char *path);
uint64_t sim_file_size(struct sim_io *sim, const char *path);
/* The byte at `offset` of a file that is there and long enough. */
int sim_file_byte(struct sim_io *sim, const char *path, uint64_t offset);

/* Which of all crash states show what: a bit for each value that `look` returns in any of them. */
unsigned sim_seen_after_crash(struct sim_io *sim, uint64_t rubbish,
                              unsigned (*look)(struct sim_io *after));
/* 1: the file "f" is there; its first byte is 'n'; 1 and 2: that of its first, second sector is. */
unsigned sim_look_exists(struct sim_io *after);
unsigned sim_look_new(struct sim_io *after);
unsigned sim_look_two_sectors(struct sim_io *after);

#endif
