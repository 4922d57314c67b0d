/* The protobuf wire format, read without copies. */
#include "engine/codec_wire.h"

#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* A key and its value; `bytes` for WIRE_BYTES, `number` for the others. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;
    struct bytes_view bytes;
};

/* Varints of one byte, most of all, are read without a call. */
static inline uint64_t read_varint(struct bytes_reader *reader) {
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    reader->failed = true;
    reader->at = reader->end;
    return 0;
}

/* The next field; false at the end, or where the bytes are malformed (then the reader has failed).
 */
static inline bool next_field(struct bytes_reader *reader, struct wire_field *field) {
    if (reader->at >= reader->end) {
        return false;
    }
    uint64_t key = read_varint(reader);
    field->number = (uint32_t)(key >> 3);
    field->type = (enum wire_type)(key & 7);
    switch (field->type) {
    case WIRE_VARINT:
        field->value = read_varint(reader);
        break;
    case WIRE_BYTES:
        field->bytes = bytes_read_run(reader, read_varint(reader));
        break;
    case WIRE_FIXED64:
        field->value = bytes_read_u64(reader);
        break;
    case WIRE_FIXED32:
        field->value = bytes_read_u32(reader);
        break;
    default: /* groups, which proto3 does not have, and unused numbers */
        reader->failed = true;
        break;
    }
    if (field->number == 0 || key > UINT32_MAX) {
        reader->failed = true;
    }
    return !reader->failed;
}

static enum wf_status no_memory(struct wf_error *err) {
    return error_set(err, WF_NO_MEMORY, "no memory to decode a record");
}

static enum wf_status malformed(struct wf_error *err) {
    return error_set(err, WF_DAMAGE, "the record's checksum holds, but its payload is no record");
}

/* Room for one more element of a list in the arena: doubles by copying. */
static void *grow(struct codec_arena *arena, void *list, size_t count, size_t element) {
    enum { FIRST = 4 };
    if (count != 0 && (count < FIRST || (count & (count - 1)) != 0)) {
        return list;
    }
    if (count != 0 && list == NULL) {
        return NULL;
    }
    size_t capacity = count < FIRST ? FIRST : count * 2;
    void *more = codec_arena_alloc(arena, capacity * element);
    if (more != NULL && count > 0) {
        memcpy(more, list, count * element);
    }
    return more;
}

static enum wf_status add_field(struct codec_arena *arena, struct bytes_view bytes,
                                struct wire_event *event, struct wf_error *err) {
    if (event->field_count == 2 * COMMAND_FIELDS_MAX) {
        return error_set(err, WF_DAMAGE, "the record's checksum holds, but it has too many fields");
    }
    event->fields = grow(arena, event->fields, event->field_count, sizeof(*event->fields));
    if (event->fields == NULL) {
        return no_memory(err);
    }
    event->fields[event->field_count++] = bytes;
    return WF_OK;
}

/* The members of an Event that are known, and those that are runs of bytes. */
#define EVENT_MEMBER(number) (UINT64_C(1) << (number))
static const uint64_t known_members = (EVENT_MEMBER(17) - EVENT_MEMBER(1)) |
                                      (EVENT_MEMBER(37) - EVENT_MEMBER(25)) | EVENT_MEMBER(50) |
                                      EVENT_MEMBER(51);
static const uint64_t bytes_members = EVENT_MEMBER(7) | EVENT_MEMBER(8) | EVENT_MEMBER(14) |
                                      EVENT_MEMBER(15) | EVENT_MEMBER(25) | EVENT_MEMBER(26) |
                                      EVENT_MEMBER(27) | EVENT_MEMBER(31) | EVENT_MEMBER(32) |
                                      EVENT_MEMBER(36) | EVENT_MEMBER(50) | EVENT_MEMBER(51);

static bool is_among(uint64_t members, uint32_t number) {
    return number < 64 && (members >> number & 1) != 0;
}

bool codec_wire_next(struct bytes_reader *reader, uint64_t *value) {
    if (reader->at >= reader->end) {
        return false;
    }
    *value = read_varint(reader);
    return !reader->failed;
}

int64_t codec_wire_zigzag(uint64_t value) {
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static enum wf_status read_event(struct codec_arena *arena, struct bytes_view bytes,
                                 struct wire_event *event, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    struct wire_field field;
    memset(event, 0, sizeof(*event));
    while (next_field(&reader, &field)) {
        bool is_bytes = field.type == WIRE_BYTES;
        bool known = is_among(known_members, field.number);
        bool wants_bytes = is_among(bytes_members, field.number);
        if (known && (is_bytes != wants_bytes || (!is_bytes && field.type != WIRE_VARINT))) {
            return malformed(err);
        }
        switch (field.number) {
        case 1:
            event->kind = (uint32_t)field.value;
            break;
        case 2:
            event->stage = (uint32_t)field.value;
            break;
        case 3:
            event->step = (uint32_t)field.value;
            break;
        case 4:
            event->attempt = (uint32_t)field.value;
            break;
        case 5:
            event->version = (uint32_t)field.value;
            break;
        case 6:
            event->timeout_ms = field.value;
            break;
        case 7: {
            enum wf_status status = add_field(arena, field.bytes, event, err);
            if (status != WF_OK) {
                return status;
            }
            break;
        }
        case 8:
            event->text = field.bytes;
            break;
        case 9:
            event->time_ms = (int64_t)field.value;
            break;
        case 10:
            event->status = (uint32_t)field.value;
            break;
        case 11:
            event->test_clock = field.value != 0;
            break;
        case 12:
            event->first_lsn = field.value;
            break;
        case 13:
            event->last_lsn = field.value;
            break;
        case 14:
            if (event->definition.data != NULL) {
                return malformed(err); /* protobuf would merge the two */
            }
            event->definition = field.bytes;
            break;
        case 15:
            event->role = field.bytes;
            break;
        case 16:
            event->expected_ms = (int64_t)field.value;
            break;
        case 25:
            event->stage_map = field.bytes;
            break;
        case 26:
            event->step_map = field.bytes;
            break;
        case 27:
            event->worker = field.bytes;
            break;
        case 28:
            event->tries = (uint32_t)field.value;
            break;
        case 29:
            event->compensate = field.value != 0;
            break;
        case 30:
            event->operation = (uint32_t)field.value;
            break;
        case 31:
            event->posting_accounts = field.bytes;
            break;
        case 32:
            event->posting_amounts = field.bytes;
            break;
        case 33:
            event->rules = (uint32_t)field.value;
            break;
        case 34:
            event->account = (uint32_t)field.value;
            break;
        case 35:
            event->amount = codec_wire_zigzag(field.value);
            break;
        case 36:
            event->name = field.bytes;
            break;
        case 50:
            event->hashes = field.bytes;
            break;
        case 51:
            event->state_hash = field.bytes;
            break;
        default:
            break;
        }
    }
    return reader.failed ? malformed(err) : WF_OK;
}

static enum wf_status add_event(struct codec_arena *arena, struct bytes_view bytes,
                                struct wire_record *record, struct wf_error *err) {
    if (record->event_count == RECORD_EVENTS_MAX) {
        return error_set(err, WF_DAMAGE, "the record's checksum holds, but it has too many events");
    }
    record->events = grow(arena, record->events, record->event_count, sizeof(*record->events));
    if (record->events == NULL) {
        return no_memory(err);
    }
    return read_event(arena, bytes, &record->events[record->event_count++], err);
}

static enum wf_status read_touch(struct bytes_view bytes, struct wire_touch *touch,
                                 struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    struct wire_field field;
    *touch = (struct wire_touch){0};
    while (next_field(&reader, &field)) {
        bool wants_bytes = field.number == 2 || field.number == 6;
        if (field.number <= 6 && field.type != (wants_bytes ? WIRE_BYTES : WIRE_VARINT)) {
            return malformed(err);
        }
        switch (field.number) {
        case 1:
            touch->kind = (uint32_t)field.value;
            break;
        case 2:
            touch->name = field.bytes;
            break;
        case 3:
            touch->previous_lsn = field.value;
            break;
        case 4:
            touch->previous_offset = field.value;
            break;
        case 5:
            touch->balance = codec_wire_zigzag(field.value);
            break;
        case 6:
            touch->currency = field.bytes;
            break;
        default:
            break;
        }
    }
    return reader.failed ? malformed(err) : WF_OK;
}

static enum wf_status add_touch(struct codec_arena *arena, struct bytes_view bytes,
                                struct wire_record *record, struct wf_error *err) {
    if (record->touch_count == RECORD_TOUCHES_MAX) {
        return error_set(err, WF_DAMAGE,
                         "the record's checksum holds, but it touches too many accounts");
    }
    record->touches = grow(arena, record->touches, record->touch_count, sizeof(*record->touches));
    if (record->touches == NULL) {
        return no_memory(err);
    }
    return read_touch(bytes, &record->touches[record->touch_count++], err);
}

enum wf_status codec_wire_read(struct codec_arena *arena, struct bytes_view bytes,
                               struct wire_record *record, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    struct wire_field field;
    memset(record, 0, sizeof(*record));
    while (next_field(&reader, &field)) {
        bool is_bytes = field.type == WIRE_BYTES;
        bool wants_bytes =
            field.number == 3 || (field.number >= 6 && field.number <= 9) || field.number == 13;
        if ((field.number <= 10 || field.number == 13) &&
            (is_bytes != wants_bytes || (!is_bytes && field.type != WIRE_VARINT))) {
            return malformed(err);
        }
        enum wf_status status = WF_OK;
        switch (field.number) {
        case 1:
            record->time_ms = (int64_t)field.value;
            break;
        case 2:
            record->command = (uint32_t)field.value;
            break;
        case 3:
            record->subject = field.bytes;
            break;
        case 4:
            record->previous_lsn = field.value;
            break;
        case 5:
            record->previous_offset = field.value;
            break;
        case 6:
            status = add_event(arena, field.bytes, record, err);
            break;
        case 7:
            record->actor = field.bytes;
            break;
        case 8:
            record->key = field.bytes;
            break;
        case 9:
            record->body_hash = field.bytes;
            break;
        case 10:
            record->keys_forgotten = field.value;
            break;
        case 13:
            status = add_touch(arena, field.bytes, record, err);
            break;
        default:
            break;
        }
        if (status != WF_OK) {
            return status;
        }
    }
    return reader.failed ? malformed(err) : WF_OK;
}
