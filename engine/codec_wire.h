/* The protobuf wire format of schema/record.proto, read without copies: views into the record's
 * bytes. Replay spends most of its time here; protobuf-c's general decoder took 43 % of it. What
 * protobuf-c packs this reads, and the other way round (tests/unit/test_codec_wire.c holds them
 * together). Source: protobuf.dev, "Encoding". */
#ifndef ENGINE_CODEC_WIRE_H
#define ENGINE_CODEC_WIRE_H

#include "engine/codec.h"

/* An Event message as it stands on the wire. */
struct wire_event {
    uint32_t kind, stage, step, attempt, version, status;
    bool test_clock;
    uint64_t timeout_ms, first_lsn, last_lsn;
    int64_t time_ms, expected_ms;
    struct bytes_view text, role;
    struct bytes_view definition; /* a Definition message; data NULL: none */
    struct bytes_view stage_map, step_map, worker;
    uint32_t tries;
    bool compensate;
    struct field *fields; /* in the arena */
    size_t text_count;    /* names and values together */
    uint32_t operation, rules, account;
    int64_t amount;
    struct bytes_view name;
    struct bytes_view posting_accounts; /* packed varints */
    struct bytes_view posting_amounts;  /* packed zigzag varints */
    struct bytes_view hashes, state_hash;
};

/* A Touch message as it stands on the wire. */
struct wire_touch {
    uint32_t kind;
    struct bytes_view name, currency;
    uint64_t previous_lsn, previous_offset;
    int64_t balance;
};

/* A Record message as it stands on the wire. */
struct wire_record {
    int64_t time_ms;
    uint32_t command;
    uint64_t previous_lsn, previous_offset, keys_forgotten;
    struct bytes_view subject, actor, key, body_hash;
    struct bytes_view *events; /* Event messages; the list is in the arena */
    size_t event_count;
    struct wire_touch *touches; /* in the arena */
    size_t touch_count;
};

/* The next number of a packed run; false at its end, or where it is malformed (then the reader has
 * failed). */
bool codec_wire_next(struct bytes_reader *reader, uint64_t *value);
int64_t codec_wire_zigzag(uint64_t value);

/* Fields that this version does not know are passed over. WF_DAMAGE: the bytes are malformed, or
 * hold more events or fields than a record may. WF_NO_MEMORY. */
enum wf_status codec_wire_read(struct codec_arena *arena, struct bytes_view bytes,
                               struct wire_record *record, struct wf_error *err);

/* One of its events, likewise. */
enum wf_status codec_wire_read_event(struct codec_arena *arena, struct bytes_view bytes,
                                     struct wire_event *event, struct wf_error *err);

#endif
