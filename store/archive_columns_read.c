/* Records put together again from their columns. */
#include "store/archive_columns.h"

#include <string.h>

/* --- values --- */

static uint64_t take_number(struct column *column) {
    uint64_t number = bytes_read_varint(&column->number_at);
    if (column->constant)
        column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
    return number;
}

/* The next value's number, left where it is. */
static uint64_t peek_number(const struct column *column) {
    struct bytes_reader reader = column->number_at;
    return bytes_read_varint(&reader);
}

static void rewind_constant(struct column *column) {
    if (!column->constant)
        return;
    column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
    column->text_at = bytes_reader_make(column->all_text.data, column->all_text.size);
}

static struct bytes_view take_run(struct column *column, uint64_t size) {
    if (size > bytes_reader_left(&column->text_at)) {
        bytes_reader_fail(&column->text_at);
        size = 0;
    }
    return bytes_read_run(&column->text_at, (size_t)size);
}

static struct bytes_view take_text(struct column *column) {
    uint64_t size = bytes_read_varint(&column->number_at);
    struct bytes_view text = take_run(column, size);
    rewind_constant(column);
    return text;
}

/* The block under way. */
struct decoding {
    struct archive_tables *columns; /* its tables */
    struct bytes_buffer *out;
    uint32_t seed, previous;
    uint64_t lsn;
    const char *why;
};

/* So many bytes of `like`, then those of the column: put together where they stay. */
static struct bytes_view join(struct archive_tables *tables, struct column *column, uint64_t same,
                              struct bytes_view like) {
    uint64_t rest = bytes_read_varint(&column->number_at);
    struct bytes_view tail = take_run(column, rest);
    rewind_constant(column);
    if (same > like.size || same > tables->texts.capacity - tables->texts.size) {
        bytes_reader_fail(&column->text_at);
        return (struct bytes_view){NULL, 0};
    }
    if (tail.size > tables->texts.capacity - tables->texts.size - same) {
        bytes_reader_fail(&column->text_at); /* more than all records together */
        return (struct bytes_view){NULL, 0};
    }
    uint8_t *at = bytes_buffer_extend(&tables->texts, (size_t)same + tail.size);
    if (same > 0)
        memcpy(at, like.data, (size_t)same);
    if (tail.size > 0)
        memcpy(at + same, tail.data, tail.size);
    return (struct bytes_view){at, (size_t)same + tail.size};
}

static struct bytes_view take_subject(struct archive_tables *tables, struct column *column,
                                      const struct member *linked) {
    uint64_t code = bytes_read_varint(&column->number_at);
    struct bytes_view subject = {NULL, 0};
    if (code > 0) {
        subject = join(tables, column, code - 1, tables->subject);
    } else {
        rewind_constant(column);
        if (linked != NULL)
            subject = linked->subject;
    }
    tables->subject = subject;
    return subject;
}

static void write_value(struct archive_tables *tables, const struct step *step,
                        const struct decoding *block, const struct member *linked,
                        struct column **own, struct bytes_view *subject) {
    struct bytes_buffer *to = &tables->payload;
    struct column *column =
        step->which == COLUMN_SHARED ? (*own)++ : columns_at(tables, step->which);
    struct bytes_view text = {NULL, 0};
    switch (step->which) {
    case COLUMN_TIME:
        tables->time_ms =
            (int64_t)((uint64_t)tables->time_ms + columns_unzigzag(take_number(column)));
        bytes_write_varint(to, (uint64_t)tables->time_ms);
        return;
    case COLUMN_PREVIOUS_LSN:
        bytes_write_varint(to, block->lsn - take_number(column));
        return;
    case COLUMN_PREVIOUS_OFFSET: {
        uint64_t number = take_number(column);
        bytes_write_varint(to,
                           linked != NULL ? linked->offset / 8 + columns_unzigzag(number) : number);
        return;
    }
    case COLUMN_SUBJECT:
        text = take_subject(tables, column, linked);
        *subject = text;
        break;
    case COLUMN_KEY:
        text = join(tables, column, bytes_read_varint(&column->number_at), tables->key);
        tables->key = text;
        break;
    case COLUMN_SHAPE:
    case COLUMN_DURABLE:
    case COLUMN_SHARED:
        if ((step->tag & 7) == WIRE_VARINT) {
            bytes_write_varint(to, take_number(column));
            return;
        }
        text = take_text(column);
        break;
    }
    bytes_write_string(to, (const char *)text.data, text.size);
}

/* Put a varint size in front of what was written since `start`. */
static void close_nested(struct bytes_buffer *to, size_t start) {
    size_t size = to->size - start;
    uint8_t prefix[BYTES_VARINT_SIZE_MAX];
    size_t prefix_size = 0;
    for (size_t left = size; prefix_size == 0 || left > 0; left >>= 7)
        prefix[prefix_size++] = (uint8_t)((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (bytes_buffer_extend(to, prefix_size) == NULL)
        return;
    memmove(to->data + start + prefix_size, to->data + start, size);
    memcpy(to->data + start, prefix, prefix_size);
}

/* One record's payload. */
static void read_payload(struct archive_tables *tables, const struct shape *shape,
                         const struct decoding *block, struct bytes_view *subject) {
    struct column *own = &tables->columns[shape->first_column];
    const struct step *steps = &tables->steps[shape->first_step];
    const struct member *linked = NULL;
    size_t nested_start = 0;
    bytes_buffer_clear(&tables->payload);
    /* The link stands behind the subject in the record, and says what the subject is. */
    if (shape->has_link)
        linked = columns_member(tables,
                                block->lsn - peek_number(columns_at(tables, COLUMN_PREVIOUS_LSN)));
    for (size_t i = 0; i < shape->step_count; i++) {
        if (steps[i].kind == STEP_CLOSE) {
            close_nested(&tables->payload, nested_start);
            continue;
        }
        bytes_write_varint(&tables->payload, steps[i].tag);
        if (steps[i].kind == STEP_OPEN)
            nested_start = tables->payload.size;
        else
            write_value(tables, &steps[i], block, linked, &own, subject);
    }
}

static bool columns_ok(struct archive_tables *tables) {
    for (size_t i = 0; i < COLUMN_SHARED + tables->column_count; i++) {
        struct column *column = columns_at(tables, i);
        if (!bytes_reader_ok(&column->number_at) || !bytes_reader_ok(&column->text_at))
            return false;
        if (!column->constant &&
            (bytes_reader_left(&column->number_at) > 0 || bytes_reader_left(&column->text_at) > 0))
            return false;
    }
    return true;
}

/* --- the tables --- */

static bool read_shapes(struct archive_tables *tables, struct bytes_reader *reader) {
    uint64_t count = bytes_read_varint(reader);
    if (count > SHAPES_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct bytes_view shape = bytes_read_string(reader);
        if (!bytes_reader_ok(reader) || shape.size > SHAPE_SIZE_MAX)
            return false;
        if (shape.size > 0)
            memcpy(tables->tags, shape.data, shape.size);
        tables->tags_size = shape.size;
        if (columns_add_shape(tables) == NULL)
            return false;
    }
    return true;
}

static bool read_columns(struct archive_tables *tables, struct bytes_reader *reader) {
    size_t count = COLUMN_SHARED + tables->column_count;
    if (bytes_read_varint(reader) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct column *column = columns_at(tables, i);
        uint64_t numbers = bytes_read_varint(reader);
        column->constant = (numbers & 1) != 0;
        uint64_t text = bytes_read_varint(reader);
        if (numbers >> 1 > ARCHIVE_BODY_MAX || text > ARCHIVE_BODY_MAX)
            return false;
        column->all_numbers.size = (size_t)(numbers >> 1);
        column->all_text.size = (size_t)text;
    }
    for (size_t i = 0; i < count; i++) {
        struct column *column = columns_at(tables, i);
        column->all_numbers = bytes_read_run(reader, column->all_numbers.size);
        column->all_text = bytes_read_run(reader, column->all_text.size);
        column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
        column->text_at = bytes_reader_make(column->all_text.data, column->all_text.size);
    }
    return bytes_reader_done(reader);
}

/* --- frames --- */

/* The frame around the payload: everything in it follows from what is known. */
static bool write_frame(struct decoding *block, struct archive_frames *frames, size_t start,
                        struct bytes_view subject, uint64_t durable) {
    struct archive_tables *tables = block->columns;
    struct bytes_buffer *payload = &tables->payload;
    if (!bytes_buffer_ok(payload) || payload->size == 0 || payload->size > WAL_PAYLOAD_MAX ||
        durable >= block->lsn)
        return false;
    struct wal_frame frame = {.kind = WAL_FRAME_RECORD,
                              .previous = block->previous,
                              .lsn = block->lsn,
                              .durable_lsn = block->lsn - 1 - durable,
                              .payload = {payload->data, payload->size}};
    uint64_t size = wal_frame_size(payload->size);
    uint64_t done = block->out->size - start;
    if (size > frames->size - done) /* never more than was announced */
        return false;
    uint8_t *at = bytes_buffer_extend(block->out, (size_t)size);
    if (at == NULL)
        return false;
    wal_frame_encode(at, block->seed, &frame);
    block->previous = frame.crc;
    tables->members[tables->member_count++] = (struct member){frames->offset + done, subject};
    return true;
}

/* Subjects and keys are put together in memory that must not move: as much as they can need. */
static bool reserve_texts(struct archive_tables *tables, size_t size) {
    bytes_buffer_clear(&tables->texts);
    if (bytes_buffer_extend(&tables->texts, size) == NULL)
        return false;
    tables->texts.size = 0;
    return true;
}

bool columns_read(struct archive_tables *tables, struct bytes_reader *reader, uint32_t seed,
                  struct bytes_buffer *out, struct archive_frames *frames) {
    struct archive_hints hints = {.nested = bytes_read_u8(reader)};
    hints.time = bytes_read_u8(reader);
    hints.subject = bytes_read_u8(reader);
    hints.previous_lsn = bytes_read_u8(reader);
    hints.previous_offset = bytes_read_u8(reader);
    hints.key = bytes_read_u8(reader);
    if (frames->count > frames->size / WAL_FRAME_SIZE_MIN ||
        !columns_begin(tables, &hints, frames->first_lsn, frames->count) ||
        !read_shapes(tables, reader) || !read_columns(tables, reader) ||
        !reserve_texts(tables, (size_t)frames->size))
        return false;
    size_t start = out->size;
    struct decoding block = {.columns = tables,
                             .out = out,
                             .seed = seed,
                             .previous = frames->previous,
                             .lsn = frames->first_lsn};
    for (uint64_t i = 0; i < frames->count; i++, block.lsn++) {
        uint64_t shape = take_number(columns_at(tables, COLUMN_SHAPE));
        uint64_t durable = take_number(columns_at(tables, COLUMN_DURABLE));
        struct bytes_view subject = {NULL, 0};
        if (shape >= tables->shape_count)
            return false;
        read_payload(tables, &tables->shapes[shape], &block, &subject);
        if (!write_frame(&block, frames, start, subject, durable))
            return false;
    }
    return columns_ok(tables) && block.previous == frames->chain;
}
