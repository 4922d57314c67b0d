/* The protobuf wire format, read without copies. */
#include "engine/codec_wire.h"

#include <string.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

/* What a key says of the member that follows it. */
#define NUMBER_KEY(number) ((number) << 3 | WIRE_VARINT)
#define BYTES_KEY(number) ((number) << 3 | WIRE_BYTES)

static uint64_t read_long_varint(struct bytes_reader *reader) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        uint8_t byte = *reader->at++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return value;
        }
    }
    bytes_reader_fail(reader);
    return 0;
}

/* Varints of one byte, most of all, are read without a call. */
static inline uint64_t read_varint(struct bytes_reader *reader) {
    if (reader->at < reader->end && *reader->at < 0x80) {
        return *reader->at++;
    }
    return read_long_varint(reader);
}

/* A key or a length: 32 bits in five bytes at most. As everywhere in protobuf, more bytes are
 * malformed even where all that they add is zero. Failure is latched, and gives 0. */
static inline uint32_t read_varint32(struct bytes_reader *reader) {
    enum { BYTES_MAX = 5 };
    const uint8_t *at = reader->at;
    if (at < reader->end && *at < 0x80) {
        return *reader->at++;
    }
    uint64_t value = read_long_varint(reader);
    if (reader->at - at > BYTES_MAX || value > UINT32_MAX) {
        bytes_reader_fail(reader);
        return 0;
    }
    return (uint32_t)value;
}

static inline struct bytes_view read_run(struct bytes_reader *reader) {
    return bytes_read_run(reader, read_varint32(reader));
}

/* What protobuf would merge with what came before: a second one is malformed. */
static inline void read_once(struct bytes_reader *reader, struct bytes_view *run) {
    if (run->data != NULL) {
        bytes_reader_fail(reader);
        return;
    }
    *run = read_run(reader);
}

/* Step over a member that nobody here knows. One whose number is among the `known`, a mask, came
 * with another type: that is malformed. */
static void pass_over(struct bytes_reader *reader, uint32_t key, uint64_t known) {
    uint32_t number = key >> 3;
    if (number == 0 || (number < 64 && (known >> number & 1) != 0)) {
        bytes_reader_fail(reader);
        return;
    }
    switch (key & 7) {
    case WIRE_VARINT:
        (void)read_varint(reader);
        return;
    case WIRE_BYTES:
        (void)read_run(reader);
        return;
    case WIRE_FIXED64:
        (void)bytes_read_u64(reader);
        return;
    case WIRE_FIXED32:
        (void)bytes_read_u32(reader);
        return;
    default: /* groups, which proto3 does not have, and unused numbers */
        bytes_reader_fail(reader);
        return;
    }
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

/* Names and values take turns. */
static enum wf_status add_field(struct codec_arena *arena, struct bytes_view bytes,
                                struct wire_event *event, struct wf_error *err) {
    if (event->text_count == 2 * COMMAND_FIELDS_MAX) {
        return error_set(err, WF_DAMAGE, "the record's checksum holds, but it has too many fields");
    }
    size_t index = event->text_count++ / 2;
    if (event->text_count % 2 == 0) {
        event->fields[index].value = bytes;
        return WF_OK;
    }
    event->fields = grow(arena, event->fields, index, sizeof(*event->fields));
    if (event->fields == NULL) {
        return no_memory(err);
    }
    event->fields[index] = (struct field){.name = bytes};
    return WF_OK;
}

/* The numbers that are known. */
#define MEMBER(number) (UINT64_C(1) << (number))
static const uint64_t event_members =
    (MEMBER(17) - MEMBER(1)) | (MEMBER(37) - MEMBER(25)) | MEMBER(50) | MEMBER(51);
static const uint64_t touch_members = MEMBER(7) - MEMBER(1);
static const uint64_t record_members = (MEMBER(11) - MEMBER(1)) | MEMBER(13);

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

enum wf_status codec_wire_read_event(struct codec_arena *arena, struct bytes_view bytes,
                                     struct wire_event *event, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    memset(event, 0, sizeof(*event));
    while (reader.at < reader.end) {
        uint32_t key = read_varint32(&reader);
        switch (key) {
        case NUMBER_KEY(1):
            event->kind = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(2):
            event->stage = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(3):
            event->step = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(4):
            event->attempt = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(5):
            event->version = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(6):
            event->timeout_ms = read_varint(&reader);
            break;
        case BYTES_KEY(7): {
            enum wf_status status = add_field(arena, read_run(&reader), event, err);
            if (status != WF_OK) {
                return status;
            }
            break;
        }
        case BYTES_KEY(8):
            event->text = read_run(&reader);
            break;
        case NUMBER_KEY(9):
            event->time_ms = (int64_t)read_varint(&reader);
            break;
        case NUMBER_KEY(10):
            event->status = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(11):
            event->test_clock = read_varint(&reader) != 0;
            break;
        case NUMBER_KEY(12):
            event->first_lsn = read_varint(&reader);
            break;
        case NUMBER_KEY(13):
            event->last_lsn = read_varint(&reader);
            break;
        case BYTES_KEY(14):
            read_once(&reader, &event->definition);
            break;
        case BYTES_KEY(15):
            event->role = read_run(&reader);
            break;
        case NUMBER_KEY(16):
            event->expected_ms = (int64_t)read_varint(&reader);
            break;
        case BYTES_KEY(25):
            event->stage_map = read_run(&reader);
            break;
        case BYTES_KEY(26):
            event->step_map = read_run(&reader);
            break;
        case BYTES_KEY(27):
            event->worker = read_run(&reader);
            break;
        case NUMBER_KEY(28):
            event->tries = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(29):
            event->compensate = read_varint(&reader) != 0;
            break;
        case NUMBER_KEY(30):
            event->operation = (uint32_t)read_varint(&reader);
            break;
        case BYTES_KEY(31):
            read_once(&reader, &event->posting_accounts);
            break;
        case BYTES_KEY(32):
            read_once(&reader, &event->posting_amounts);
            break;
        case NUMBER_KEY(33):
            event->rules = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(34):
            event->account = (uint32_t)read_varint(&reader);
            break;
        case NUMBER_KEY(35):
            event->amount = codec_wire_zigzag(read_varint(&reader));
            break;
        case BYTES_KEY(36):
            event->name = read_run(&reader);
            break;
        case BYTES_KEY(50):
            event->hashes = read_run(&reader);
            break;
        case BYTES_KEY(51):
            event->state_hash = read_run(&reader);
            break;
        default:
            pass_over(&reader, key, event_members);
            break;
        }
    }
    return bytes_reader_ok(&reader) ? WF_OK : malformed(err);
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
    record->events[record->event_count++] = bytes;
    return WF_OK;
}

static enum wf_status read_touch(struct bytes_view bytes, struct wire_touch *touch,
                                 struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(bytes.data, bytes.size);
    *touch = (struct wire_touch){0};
    while (reader.at < reader.end) {
        uint32_t key = read_varint32(&reader);
        switch (key) {
        case NUMBER_KEY(1):
            touch->kind = (uint32_t)read_varint(&reader);
            break;
        case BYTES_KEY(2):
            touch->name = read_run(&reader);
            break;
        case NUMBER_KEY(3):
            touch->previous_lsn = read_varint(&reader);
            break;
        case NUMBER_KEY(4):
            touch->previous_offset = read_varint(&reader);
            break;
        case NUMBER_KEY(5):
            touch->balance = codec_wire_zigzag(read_varint(&reader));
            break;
        case BYTES_KEY(6):
            touch->currency = read_run(&reader);
            break;
        default:
            pass_over(&reader, key, touch_members);
            break;
        }
    }
    return bytes_reader_ok(&reader) ? WF_OK : malformed(err);
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
    memset(record, 0, sizeof(*record));
    while (reader.at < reader.end) {
        uint32_t key = read_varint32(&reader);
        enum wf_status status = WF_OK;
        switch (key) {
        case NUMBER_KEY(1):
            record->time_ms = (int64_t)read_varint(&reader);
            break;
        case NUMBER_KEY(2):
            record->command = (uint32_t)read_varint(&reader);
            break;
        case BYTES_KEY(3):
            record->subject = read_run(&reader);
            break;
        case NUMBER_KEY(4):
            record->previous_lsn = read_varint(&reader);
            break;
        case NUMBER_KEY(5):
            record->previous_offset = read_varint(&reader);
            break;
        case BYTES_KEY(6):
            status = add_event(arena, read_run(&reader), record, err);
            break;
        case BYTES_KEY(7):
            record->actor = read_run(&reader);
            break;
        case BYTES_KEY(8):
            record->key = read_run(&reader);
            break;
        case BYTES_KEY(9):
            record->body_hash = read_run(&reader);
            break;
        case NUMBER_KEY(10):
            record->keys_forgotten = read_varint(&reader);
            break;
        case BYTES_KEY(13):
            status = add_touch(arena, read_run(&reader), record, err);
            break;
        default:
            pass_over(&reader, key, record_members);
            break;
        }
        if (status != WF_OK) {
            return status;
        }
    }
    return bytes_reader_ok(&reader) ? WF_OK : malformed(err);
}
