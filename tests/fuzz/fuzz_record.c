/* Any bytes as a record's payload: our reader of the wire format against protobuf-c's. What ours
 * accepts, protobuf-c accepts with the same content; ours is stricter where engine/codec.h and
 * FORMAT.md say so, and then says why. What was accepted is encoded and decoded to the same again.
 */
#include "engine/codec.h"
#include "engine/schema/record.pb-c.h"
#include "tests/fuzz/seeds.h"
#include "tests/lib/core_bank.h"

#include <string.h>

static void seed_record(const struct record *record) {
    struct codec_arena arena;
    struct bytes_buffer bytes;
    codec_arena_init(&arena);
    bytes_buffer_init(&bytes);
    fuzz_require(codec_encode(&arena, record, &bytes, NULL) == WF_OK, "a seed is encoded");
    fuzz_seed(bytes.data, bytes.size);
    bytes_buffer_deinit(&bytes);
    codec_arena_deinit(&arena);
}

static void make_money_seeds(void) {
    struct core_store *store = bank_make();
    store->on_record = seed_record;
    bank_open_account(store, "M", "checking", "USD", "90.00", "0.00");
    bank_one(store, "withdrawal from=M amount=40.00 currency=USD");
    core_store_close(store);
}

static void make_seeds(void) {
    make_money_seeds();
    struct core_store *store = core_store_open(true);
    store->on_record = seed_record;
    core_define(store, core_loan_yaml);
    core_start(store, "L1", "loan_application", "branch=north");
    for (int step = 0; step < 5; step++)
        core_submit_keyed(store, "L1", core_loan_steps[step][0], core_loan_steps[step][1],
                          step == 2 ? "key" : NULL, 7);
    core_start(store, "L2", "loan_application", NULL);
    core_cancel(store, "L2", "withdrawn");
    core_advance(store, 1000);
    core_store_close(store);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

static bool same_bytes(struct bytes_view a, ProtobufCBinaryData b) {
    return a.size == b.len && (b.len == 0 || memcmp(a.data, b.data, b.len) == 0);
}

static void compare(const struct record *ours, const Wf__Pb__Record *theirs) {
    fuzz_require(ours->time_ms == theirs->time_ms, "the same time");
    fuzz_require((uint32_t)ours->command == theirs->command, "the same command");
    fuzz_require(same_bytes(ours->subject, theirs->subject), "the same subject");
    fuzz_require(same_bytes(ours->actor, theirs->actor), "the same actor");
    fuzz_require(same_bytes(ours->key, theirs->key), "the same key");
    fuzz_require(ours->previous.lsn == theirs->previous_lsn &&
                     ours->previous.offset == theirs->previous_offset * 8,
                 "the same link");
    fuzz_require(ours->keys_forgotten == theirs->keys_forgotten, "the same keys forgotten");
    fuzz_require(ours->event_count == theirs->n_events, "as many events");
    for (size_t i = 0; i < ours->event_count; i++)
        fuzz_require((uint32_t)ours->events[i].kind == theirs->events[i]->kind, "the same events");
}

/* Encode and decode what was accepted: the same bytes from then on. */
static void check_again(const struct record *record) {
    struct codec_arena arena, second;
    struct bytes_buffer once, twice;
    struct record again;
    codec_arena_init(&arena);
    codec_arena_init(&second);
    bytes_buffer_init(&once);
    bytes_buffer_init(&twice);
    fuzz_require(codec_encode(&arena, record, &once, NULL) == WF_OK, "it can be encoded");
    struct bytes_view view = {once.data, once.size};
    fuzz_require(codec_decode(&second, view, &again, NULL) == WF_OK, "and decoded again");
    codec_arena_reset(&arena);
    fuzz_require(codec_encode(&arena, &again, &twice, NULL) == WF_OK, "and encoded again");
    fuzz_require(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0,
                 "to the same bytes");
    codec_release(&again);
    bytes_buffer_deinit(&twice);
    bytes_buffer_deinit(&once);
    codec_arena_deinit(&second);
    codec_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct codec_arena arena;
    struct record record;
    struct wf_error err = {0};
    if (size == 0)
        return 0;
    codec_arena_init(&arena);
    enum wf_status status = codec_decode(&arena, (struct bytes_view){data, size}, &record, &err);
    Wf__Pb__Record *theirs = wf__pb__record__unpack(NULL, size, data);
    if (status == WF_OK) {
        fuzz_require(theirs != NULL, "what ours accepts is protobuf");
        compare(&record, theirs);
        check_again(&record);
        codec_release(&record);
    } else {
        fuzz_require(status == WF_DAMAGE && err.text[0] != '\0',
                     "a refusal is damage, and says why");
    }
    if (theirs != NULL)
        wf__pb__record__free_unpacked(theirs, NULL);
    codec_arena_deinit(&arena);
    return 0;
}
