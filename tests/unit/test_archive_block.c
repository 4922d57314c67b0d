/* Blocks and members of archives: what goes in comes out, and nothing else does. */
#include "store/archive_block.h"
#include "store/archive_member.h"
#include "wal/cover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t store_id[WAL_STORE_ID_SIZE] = "archive block";
static const struct archive_hints hints = {
    .nested = 6, .time = 1, .subject = 3, .previous_lsn = 4, .previous_offset = 5, .key = 8};

/* Frames made one behind the other. */
struct made {
    struct bytes_buffer bytes;
    struct archive_frames frames;
    uint64_t offsets[64];
};

static void made_init(struct made *made, uint64_t first_lsn) {
    bytes_buffer_init(&made->bytes);
    made->frames = (struct archive_frames){
        .first_lsn = first_lsn, .offset = 640, .previous = 0x1234, .chain = 0x1234};
}

static void made_add(struct made *made, const void *payload, size_t size) {
    uint64_t lsn = made->frames.first_lsn + made->frames.count;
    struct wal_frame frame = {.kind = WAL_FRAME_RECORD,
                              .previous = made->frames.chain,
                              .lsn = lsn,
                              .durable_lsn = lsn - 1 - lsn % 3,
                              .payload = {payload, size}};
    made->offsets[made->frames.count] = made->frames.offset + made->bytes.size;
    uint8_t *at = bytes_buffer_extend(&made->bytes, (size_t)wal_frame_size(size));
    wal_frame_encode(at, wal_frame_seed(store_id), &frame);
    made->frames.chain = frame.crc;
    made->frames.count++;
    made->frames.size = made->bytes.size;
    made->frames.bytes = (struct bytes_view){made->bytes.data, made->bytes.size};
}

static void put_bytes(struct bytes_buffer *to, uint8_t field, const char *text) {
    bytes_write_u8(to, (uint8_t)(field << 3 | 2));
    bytes_write_string(to, text, strlen(text));
}

static void put_number(struct bytes_buffer *to, uint8_t field, uint64_t number) {
    bytes_write_u8(to, (uint8_t)(field << 3));
    bytes_write_varint(to, number);
}

/* Records as the engine writes them, about five subjects in turn. */
static void made_add_record(struct made *made, unsigned number) {
    struct bytes_buffer payload;
    struct bytes_buffer event;
    char text[40];
    bytes_buffer_init(&payload);
    bytes_buffer_init(&event);
    put_number(&payload, 1, 1767225600000 + number * 17);
    put_number(&payload, 2, 4);
    (void)snprintf(text, sizeof text, "L-%u", number % 5);
    put_bytes(&payload, 3, text);
    if (number >= 5) {
        put_number(&payload, 4, made->frames.first_lsn + number - 5);
        put_number(&payload, 5, made->offsets[number - 5] / 8);
    } else {
        put_number(&payload, 4, 1); /* in another block */
        put_number(&payload, 5, 77);
    }
    put_number(&event, 1, 4);
    put_number(&event, 4, number % 2); /* the number of a shared column, but nested */
    (void)snprintf(text, sizeof text, "value %u", number * number);
    put_bytes(&event, 7, text);
    bytes_write_u8(&payload, 6 << 3 | 2);
    bytes_write_string(&payload, (const char *)event.data, event.size);
    if (number % 3 == 0)
        put_bytes(&payload, 8, text);
    made_add(made, payload.data, payload.size);
    bytes_buffer_deinit(&event);
    bytes_buffer_deinit(&payload);
}

static void encode_as(const struct made *made, struct bytes_buffer *body,
                      struct archive_encoded *encoded) {
    struct archive_tables *tables = archive_tables_create();
    struct archive_tables *checker = archive_tables_create();
    bytes_buffer_init(body);
    assert_int_equal(archive_block_encode(tables, checker, &hints, wal_frame_seed(store_id),
                                          &made->frames, body, encoded, NULL),
                     WF_OK);
    archive_tables_destroy(checker);
    archive_tables_destroy(tables);
}

static void encode(const struct made *made, struct bytes_buffer *body) {
    struct archive_encoded encoded;
    encode_as(made, body, &encoded);
}

static enum wf_status decode(struct bytes_view body, struct bytes_buffer *out,
                             struct archive_frames *frames) {
    struct archive_tables *tables = archive_tables_create();
    struct wf_error err;
    enum wf_status status =
        archive_block_decode(tables, body, wal_frame_seed(store_id), out, frames, &err);
    archive_tables_destroy(tables);
    return status;
}

/* The body gives back what was made; its first byte tells how it is kept. */
static void expect_back(struct made *made, uint8_t kind) {
    struct bytes_buffer body;
    struct bytes_buffer out;
    struct archive_frames back;
    encode(made, &body);
    assert_int_equal(body.data[0], kind);
    bytes_buffer_init(&out);
    assert_int_equal(decode((struct bytes_view){body.data, body.size}, &out, &back), WF_OK);
    assert_int_equal(back.bytes.size, made->bytes.size);
    assert_memory_equal(back.bytes.data, made->bytes.data, made->bytes.size);
    assert_int_equal(back.first_lsn, made->frames.first_lsn);
    assert_int_equal(back.chain, made->frames.chain);
    bytes_buffer_deinit(&out);
    bytes_buffer_deinit(&body);
}

static void test_archive_block_gives_back_records(void **state) {
    (void)state;
    struct made made;
    made_init(&made, 4711);
    for (unsigned i = 0; i < 60; i++)
        made_add_record(&made, i);
    expect_back(&made, 3);
    bytes_buffer_deinit(&made.bytes);
}

static void test_archive_block_keeps_what_is_no_protobuf_as_it_is(void **state) {
    (void)state;
    struct made made;
    made_init(&made, 1);
    made_add_record(&made, 0);
    made_add(&made, "hello", 5);
    expect_back(&made, 1);
    bytes_buffer_deinit(&made.bytes);
    made_init(&made, 1);
    made_add(&made, "\x08\x80\x00", 3); /* a number that is longer than it need be */
    expect_back(&made, 1);
    bytes_buffer_deinit(&made.bytes);
}

/* Archives stay readable: the first layout of columns, as it was written once. */
static void test_archive_block_of_the_first_layout_is_read(void **state) {
    (void)state;
    struct made made;
    struct bytes_buffer body;
    struct bytes_buffer out;
    struct archive_frames back;
    FILE *file = fopen("tests/golden/archive-1/block_columns_2.hex", "r");
    unsigned byte;
    assert_non_null(file); /* tests run in the project's root */
    bytes_buffer_init(&body);
    while (fscanf(file, "%2x", &byte) == 1)
        bytes_write_u8(&body, (uint8_t)byte);
    fclose(file);
    assert_int_equal(body.data[0], 2);
    made_init(&made, 4711);
    for (unsigned i = 0; i < 24; i++)
        made_add_record(&made, i);
    bytes_buffer_init(&out);
    assert_int_equal(decode((struct bytes_view){body.data, body.size}, &out, &back), WF_OK);
    assert_int_equal(back.bytes.size, made.bytes.size);
    assert_memory_equal(back.bytes.data, made.bytes.data, made.bytes.size);
    bytes_buffer_deinit(&out);
    bytes_buffer_deinit(&body);
    bytes_buffer_deinit(&made.bytes);
}

static void test_archive_block_of_a_later_kind_is_refused_by_its_kind(void **state) {
    (void)state;
    struct archive_tables *tables = archive_tables_create();
    struct bytes_buffer out;
    struct archive_frames back;
    struct wf_error err;
    bytes_buffer_init(&out);
    assert_int_equal(archive_block_decode(tables, (struct bytes_view){(const uint8_t *)"\x04", 1},
                                          0, &out, &back, &err),
                     WF_DAMAGE);
    assert_non_null(strstr(err.text, "of kind 4"));
    archive_tables_destroy(tables);
    bytes_buffer_deinit(&out);
}

/* --- bytes that are random --- */

enum { HASH_SIZE = 32 };

/* A record with a text of one hash: each its own, or each twice. */
static void made_add_hash(struct made *made, unsigned number, bool own) {
    uint8_t payload[2 + HASH_SIZE + 2] = {7 << 3 | 2, HASH_SIZE};
    uint64_t random = own ? number + 1 : number / 2 + 1;
    for (size_t i = 0; i < HASH_SIZE; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        payload[2 + i] = (uint8_t)(random >> 56);
    }
    payload[2 + HASH_SIZE] = 2 << 3;
    payload[3 + HASH_SIZE] = (uint8_t)(number % 100);
    made_add(made, payload, sizeof payload);
}

/* Encode so many hashes; how many bytes of the body are to be stored. */
static size_t plain_of(unsigned count, bool own) {
    struct made made;
    struct bytes_buffer body;
    struct archive_encoded encoded;
    made_init(&made, 4711);
    for (unsigned i = 0; i < count; i++)
        made_add_hash(&made, i, own);
    encode_as(&made, &body, &encoded);
    expect_back(&made, 3);
    bytes_buffer_deinit(&body);
    bytes_buffer_deinit(&made.bytes);
    return encoded.plain;
}

static void test_archive_block_keeps_hashes_in_front_to_be_stored(void **state) {
    (void)state;
    assert_int_equal(plain_of(60, true), 3 + 60 * HASH_SIZE);
}

static void test_archive_block_packs_hashes_that_come_again(void **state) {
    (void)state;
    assert_int_equal(plain_of(60, false), 0);
}

static void test_archive_block_packs_what_is_too_little_to_tell(void **state) {
    (void)state;
    assert_int_equal(plain_of(10, true), 0);
}

static void test_archive_block_takes_no_changed_body_for_another(void **state) {
    (void)state;
    struct made made;
    struct bytes_buffer body;
    struct bytes_buffer out;
    made_init(&made, 4711);
    for (unsigned i = 0; i < 20; i++)
        made_add_record(&made, i);
    for (unsigned i = 20; i < 54; i++)
        made_add_hash(&made, i, true);
    encode(&made, &body);
    bytes_buffer_init(&out);
    for (size_t i = 0; i < body.size * 8; i++) {
        struct archive_frames back;
        body.data[i / 8] ^= (uint8_t)(1 << i % 8);
        bytes_buffer_clear(&out);
        if (decode((struct bytes_view){body.data, body.size}, &out, &back) == WF_OK) {
            /* Only where it stands may be wrong, which the caller holds against the index. */
            assert_true(back.bytes.size != made.bytes.size || back.offset != made.frames.offset ||
                        back.first_lsn != made.frames.first_lsn ||
                        memcmp(back.bytes.data, made.bytes.data, made.bytes.size) == 0);
            assert_int_equal(back.chain, made.frames.chain);
        }
        body.data[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t size = 0; size < body.size; size++) {
        struct archive_frames back;
        assert_int_equal(decode((struct bytes_view){body.data, size}, &out, &back), WF_DAMAGE);
    }
    bytes_buffer_deinit(&out);
    bytes_buffer_deinit(&body);
    bytes_buffer_deinit(&made.bytes);
}

/* --- members --- */

static void make_member(struct bytes_buffer *member, const char *text, size_t size, size_t plain) {
    struct archive_deflater *deflater = archive_deflater_create();
    bytes_buffer_init(member);
    assert_int_equal(archive_member_write(deflater,
                                          (struct bytes_view){(const uint8_t *)text, size}, plain,
                                          member, NULL),
                     WF_OK);
    archive_deflater_destroy(deflater);
}

static enum wf_status read_member(const struct bytes_buffer *member, size_t text_max,
                                  struct bytes_buffer *out) {
    struct archive_inflater *inflater = archive_inflater_create();
    struct wf_error err;
    enum wf_status status = archive_member_read(
        inflater, (struct bytes_view){member->data, member->size}, text_max, out, &err);
    archive_inflater_destroy(inflater);
    return status;
}

/* Stored or packed, or both. */
static void test_archive_member_holds_against_every_flipped_bit(void **state) {
    (void)state;
    static const char text[] = "forty-two, forty-two, forty-two and forty-three";
    for (size_t plain = 0; plain <= sizeof text; plain += sizeof text / 2) {
        struct bytes_buffer member;
        struct bytes_buffer out;
        make_member(&member, text, sizeof text, plain);
        bytes_buffer_init(&out);
        assert_int_equal(read_member(&member, sizeof text, &out), WF_OK);
        assert_memory_equal(out.data, text, sizeof text);
        for (size_t i = 0; i < member.size * 8; i++) {
            member.data[i / 8] ^= (uint8_t)(1 << i % 8);
            bytes_buffer_clear(&out);
            /* Deflate has spare bits at its end; nothing else may pass, and nothing may differ. */
            if (read_member(&member, sizeof text, &out) == WF_OK)
                assert_memory_equal(out.data, text, sizeof text);
            member.data[i / 8] ^= (uint8_t)(1 << i % 8);
        }
        bytes_buffer_deinit(&out);
        bytes_buffer_deinit(&member);
    }
}

/* More than one stored block, and packed bytes behind them. */
static void test_archive_member_that_is_stored_in_part_is_read_by_zcat(void **state) {
    (void)state;
    enum { SIZE = 200000, PLAIN = 150000 };
    char *text = malloc(SIZE);
    char folder[] = "/tmp/wf-member-XXXXXX";
    char line[200];
    struct bytes_buffer member;
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)('a' + i * i % 23);
    make_member(&member, text, SIZE, PLAIN);
    assert_true(member.size > PLAIN && member.size < PLAIN + (SIZE - PLAIN) / 2);
    assert_non_null(mkdtemp(folder));
    (void)snprintf(line, sizeof line, "cd %s && zcat >text", folder);
    FILE *zcat = popen(line, "w");
    assert_non_null(zcat);
    assert_int_equal(fwrite(member.data, 1, member.size, zcat), member.size);
    assert_int_equal(pclose(zcat), 0);
    (void)snprintf(line, sizeof line, "%s/text", folder);
    FILE *file = fopen(line, "r");
    char *back = malloc(SIZE + 1);
    assert_non_null(file);
    assert_int_equal(fread(back, 1, SIZE + 1, file), SIZE);
    fclose(file);
    assert_memory_equal(back, text, SIZE);
    remove(line);
    rmdir(folder);
    bytes_buffer_deinit(&member);
    free(back);
    free(text);
}

/* A member that inflates to far more than it announces, or announces more than it may. */
static void test_archive_member_is_no_bomb(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    char *zeros = calloc(1, SIZE);
    struct bytes_buffer member;
    struct bytes_buffer out;
    make_member(&member, zeros, SIZE, 0);
    bytes_buffer_init(&out);
    assert_true(member.size < SIZE / 100);
    assert_int_equal(read_member(&member, SIZE - 1, &out), WF_DAMAGE);
    assert_true(out.capacity < SIZE); /* refused before anything was made for it */
    bytes_store_u32(member.data + 20, 100);
    bytes_store_u32(member.data + member.size - 4, 100);
    assert_int_equal(read_member(&member, SIZE, &out), WF_DAMAGE);
    assert_true(out.capacity < SIZE);
    bytes_buffer_deinit(&out);
    bytes_buffer_deinit(&member);
    free(zeros);
}

/* --- covers --- */

static void test_wal_cover_adds_up_to_the_tree(void **state) {
    (void)state;
    struct wal_hasher *hasher = wal_hasher_create();
    for (uint64_t middle = 0; middle <= 40; middle++) {
        struct wal_frontier plain = {.count = 0};
        struct wal_frontier pieces = {.count = 0};
        struct wal_cover cover;
        assert_true(wal_cover_init(&cover, middle, 41));
        for (uint64_t i = 0; i < 41; i++) {
            uint8_t leaf[WAL_HASH_SIZE] = {(uint8_t)i};
            assert_true(wal_frontier_add_subtree(&plain, hasher, 0, leaf));
            if (i < middle)
                assert_true(wal_frontier_add_subtree(&pieces, hasher, 0, leaf));
            else
                assert_true(wal_cover_add(&cover, hasher, 0, leaf));
        }
        assert_true(wal_cover_is_whole(&cover));
        assert_int_equal(cover.count, wal_cover_count(middle, 41));
        uint64_t at = middle;
        for (size_t i = 0; i < cover.count; i++) {
            unsigned level = wal_cover_level(at, 41);
            assert_true(wal_frontier_add_subtree(&pieces, hasher, level, cover.hashes[i]));
            at += (uint64_t)1 << level;
        }
        uint8_t a[WAL_HASH_SIZE];
        uint8_t b[WAL_HASH_SIZE];
        assert_true(wal_frontier_root(&plain, hasher, a) && wal_frontier_root(&pieces, hasher, b));
        assert_memory_equal(a, b, sizeof a);
        wal_cover_deinit(&cover);
    }
    wal_hasher_destroy(hasher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_archive_block_gives_back_records),
        cmocka_unit_test(test_archive_block_keeps_what_is_no_protobuf_as_it_is),
        cmocka_unit_test(test_archive_block_of_the_first_layout_is_read),
        cmocka_unit_test(test_archive_block_of_a_later_kind_is_refused_by_its_kind),
        cmocka_unit_test(test_archive_block_keeps_hashes_in_front_to_be_stored),
        cmocka_unit_test(test_archive_block_packs_hashes_that_come_again),
        cmocka_unit_test(test_archive_block_packs_what_is_too_little_to_tell),
        cmocka_unit_test(test_archive_block_takes_no_changed_body_for_another),
        cmocka_unit_test(test_archive_member_holds_against_every_flipped_bit),
        cmocka_unit_test(test_archive_member_that_is_stored_in_part_is_read_by_zcat),
        cmocka_unit_test(test_archive_member_is_no_bomb),
        cmocka_unit_test(test_wal_cover_adds_up_to_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
