/* Records made into bytes and back, and compared. Owns the arenas and the bytes; fails the running
 * cmocka test where a step that must work does not. */
#ifndef TESTS_LIB_CODEC_FIXTURE_H
#define TESTS_LIB_CODEC_FIXTURE_H

#include "engine/codec.h"

struct codec_fixture {
    struct codec_arena arena, decoded;
    struct bytes_buffer bytes;
    struct wf_error err;
};

/* As cmocka wants them. */
int codec_fixture_setup(void **state);
int codec_fixture_teardown(void **state);

/* Into fixture->bytes, in place of what was there. */
void codec_fixture_encode(struct codec_fixture *fixture, const struct record *record);
/* Out of them; borrows from the fixture until the next call. */
enum wf_status codec_fixture_decode(struct codec_fixture *fixture, struct record *record);
void codec_fixture_must_decode(struct codec_fixture *fixture, struct record *record);

void assert_same_view(struct bytes_view a, struct bytes_view b);
void assert_same_record(const struct record *a, const struct record *b);

#endif
