/* Records put together again from their columns: first the columns' numbers, as many as the shapes
 * of the records want, then record for record. */
#include "store/archive_columns.h"

#include <string.h>

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

/* Where the bytes of each column are. Of the first layout the size of the texts is not followed by
 * a form. */
static bool read_columns(struct archive_tables *tables, struct bytes_reader *reader, bool first,
                         struct bytes_view plain_bytes) {
    struct bytes_reader plain = bytes_reader_make(plain_bytes.data, plain_bytes.size);
    size_t count = COLUMN_SHARED + tables->column_count;
    if (bytes_read_varint(reader) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct column *column = columns_at(tables, i);
        uint64_t numbers = bytes_read_varint(reader);
        uint64_t text = bytes_read_varint(reader);
        column->constant = (numbers & 1) != 0;
        column->form = first ? FORM_PACKED : (enum column_form)(text & 1);
        text = first ? text : text >> 1;
        if (numbers >> 1 > ARCHIVE_BODY_MAX || text > ARCHIVE_BODY_MAX)
            return false;
        column->all_numbers.size = (size_t)(numbers >> 1);
        column->all_text.size = (size_t)text;
    }
    for (size_t i = 0; i < count; i++) {
        struct column *column = columns_at(tables, i);
        column->all_numbers = bytes_read_run(reader, column->all_numbers.size);
        column->all_text =
            bytes_read_run(column->form == FORM_PLAIN ? &plain : reader, column->all_text.size);
        column->text = column->all_text.data;
        column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
        column->text_at = bytes_reader_make(column->all_text.data, column->all_text.size);
    }
    return bytes_reader_done(reader) && bytes_reader_done(&plain);
}

/* --- numbers --- */

/* So many numbers out of the column's bytes, which hold just these. */
static bool load_numbers(struct column *column, uint64_t count) {
    struct bytes_reader reader =
        bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
    column->step = column->constant ? 0 : 1;
    count = column->constant ? 1 : count;
    if (count > column->all_numbers.size ||
        (count > column->number_capacity && !columns_grow_numbers(column, (size_t)count)))
        return false;
    for (uint64_t i = 0; i < count; i++)
        column->numbers[i] = bytes_read_varint(&reader);
    column->number_count = (size_t)count;
    return bytes_reader_done(&reader);
}

/* The sizes of texts come to the bytes that are there. */
static bool sizes_add_up(const struct column *column) {
    uint64_t left = column->all_text.size;
    for (size_t i = 0; i < column->number_count; i++) {
        if (column->numbers[i] > left)
            return false;
        left -= column->numbers[i];
    }
    return left == 0;
}

/* How many values each column has, by what its shape says. Each value takes two bytes of a frame
 * and more, which bounds what they take here. */
static bool count_values(struct archive_tables *tables, const struct archive_frames *frames) {
    const struct column *shapes = columns_at(tables, COLUMN_SHAPE);
    uint64_t all = 0;
    for (uint64_t i = 0; i < frames->count; i++) {
        uint64_t shape = shapes->numbers[i * shapes->step];
        if (shape >= tables->shape_count)
            return false;
        tables->shapes[shape].expected++;
    }
    for (size_t i = 0; i < tables->shape_count; i++) {
        const struct shape *shape = &tables->shapes[i];
        size_t own = shape->first_column;
        for (size_t j = 0; j < shape->step_count; j++) {
            const struct step *step = &tables->steps[shape->first_step + j];
            if (step->kind != STEP_VALUE)
                continue;
            bool shared = step->which != COLUMN_SHARED;
            struct column *column =
                shared ? columns_at(tables, step->which) : &tables->columns[own++];
            column->expected += shape->expected;
            column->is_text = !shared && step->is_text;
            all += shape->expected;
        }
    }
    return all <= frames->size / 2;
}

static bool load_columns(struct archive_tables *tables, const struct archive_frames *frames) {
    if (!load_numbers(columns_at(tables, COLUMN_SHAPE), frames->count) ||
        !load_numbers(columns_at(tables, COLUMN_DURABLE), frames->count) ||
        !count_values(tables, frames))
        return false;
    for (size_t i = COLUMN_DURABLE + 1; i < COLUMN_SHARED + tables->column_count; i++) {
        struct column *column = columns_at(tables, i);
        bool varies = i == COLUMN_SUBJECT || i == COLUMN_KEY; /* one number or two for a value */
        if (!varies && !load_numbers(column, column->expected))
            return false;
        if (!varies && (column->is_text ? !sizes_add_up(column) : column->all_text.size > 0))
            return false;
    }
    return true;
}

/* --- values --- */

/* The block under way. */
struct decoding {
    struct archive_tables *tables;
    struct archive_frames *frames;
    bool first; /* the first layout */
    uint32_t seed, previous;
    uint64_t lsn;
    uint8_t *at;          /* the next byte of the payload */
    const uint8_t *limit; /* behind all frames; SLACK bytes more may be written */
    struct bytes_view subject;
    const struct member *linked;
};

/* Behind all frames: a tag and a number fit there. */
enum { SLACK = 64 };

static inline uint64_t take_number(struct column *column) {
    uint64_t number = column->numbers[column->next];
    column->next += column->step;
    return number;
}

static inline struct bytes_view take_text(struct column *column) {
    struct bytes_view text = {column->text, (size_t)take_number(column)};
    column->text += text.size * column->step;
    return text;
}

static inline void write_number(struct decoding *block, uint64_t number) {
    uint8_t *at = block->at;
    for (; number >= 0x80; number >>= 7)
        *at++ = (uint8_t)(number | 0x80);
    *at++ = (uint8_t)number;
    block->at = at;
}

/* False: it does not fit. */
static inline bool write_text(struct decoding *block, struct bytes_view text) {
    write_number(block, text.size);
    if (block->at > block->limit || text.size > (size_t)(block->limit - block->at))
        return false;
    if (text.size > 0)
        memcpy(block->at, text.data, text.size);
    block->at += text.size;
    return true;
}

static void rewind_constant(struct column *column) {
    if (!column->constant)
        return;
    column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
    column->text_at = bytes_reader_make(column->all_text.data, column->all_text.size);
}

/* So many bytes of `like`, then those of the column, put together in the payload; `like` becomes
 * that. */
static bool write_joined(struct decoding *block, struct column *column, uint64_t same,
                         struct bytes_view *like) {
    uint64_t rest = bytes_read_varint(&column->number_at);
    if (rest > bytes_reader_left(&column->text_at) || same > like->size)
        return false;
    struct bytes_view tail = bytes_read_run(&column->text_at, (size_t)rest);
    rewind_constant(column);
    write_number(block, same + rest);
    if (block->at > block->limit || same + rest > (size_t)(block->limit - block->at))
        return false;
    if (same > 0)
        memcpy(block->at, like->data, (size_t)same);
    if (tail.size > 0)
        memcpy(block->at + same, tail.data, tail.size);
    *like = (struct bytes_view){block->at, (size_t)same + tail.size};
    block->at += like->size;
    return true;
}

static bool write_subject(struct decoding *block, struct column *column) {
    struct archive_tables *tables = block->tables;
    uint64_t code = bytes_read_varint(&column->number_at);
    bool ok;
    if (code > 0) {
        ok = write_joined(block, column, code - 1, &tables->subject);
    } else {
        rewind_constant(column);
        tables->subject = block->linked != NULL ? block->linked->subject : (struct bytes_view){0};
        ok = write_text(block, tables->subject);
    }
    block->subject = tables->subject;
    return ok;
}

static bool write_shared(struct decoding *block, enum shared_column which) {
    struct archive_tables *tables = block->tables;
    struct column *column = columns_at(tables, which);
    switch (which) {
    case COLUMN_TIME:
        tables->time_ms =
            (int64_t)((uint64_t)tables->time_ms + columns_unzigzag(take_number(column)));
        write_number(block, (uint64_t)tables->time_ms);
        return true;
    case COLUMN_PREVIOUS_LSN:
        write_number(block, block->lsn - take_number(column));
        return true;
    case COLUMN_PREVIOUS_OFFSET: {
        uint64_t number = take_number(column);
        if (block->linked != NULL)
            number = block->linked->offset / 8 + columns_unzigzag(number);
        else if (!block->first)
            number = tables->loose_offset += columns_unzigzag(number);
        write_number(block, number);
        return true;
    }
    case COLUMN_SUBJECT:
        return write_subject(block, column);
    case COLUMN_KEY:
        return write_joined(block, column, bytes_read_varint(&column->number_at), &tables->key);
    case COLUMN_SHAPE:
    case COLUMN_DURABLE:
    case COLUMN_SHARED:
        break;
    }
    return false;
}

/* Put a varint size in front of what was written since `start`, where one byte was left for it. */
static void close_nested(struct decoding *block, uint8_t *start) {
    size_t size = (size_t)(block->at - start) - 1;
    size_t prefix_size = 1;
    for (size_t left = size >> 7; left > 0; left >>= 7)
        prefix_size++;
    if (prefix_size > 1)
        memmove(start + prefix_size, start + 1, size);
    block->at = start;
    write_number(block, size);
    block->at += size;
}

/* One record's payload. False: it is larger than what was announced. */
static bool write_payload(struct decoding *block, const struct shape *shape) {
    struct column *own = &block->tables->columns[shape->first_column];
    const struct step *step = &block->tables->steps[shape->first_step];
    const struct step *end = step + shape->step_count;
    uint8_t *nested = block->at; /* of a shape that opens none it is not used */
    for (; step < end; step++) {
        if (step->kind == STEP_CLOSE) {
            close_nested(block, nested);
            continue;
        }
        if (block->at > block->limit)
            return false;
        memcpy(block->at, step->tag, sizeof step->tag);
        block->at += step->tag_size;
        if (step->kind == STEP_OPEN) {
            nested = block->at++;
        } else if (step->which != COLUMN_SHARED) {
            if (!write_shared(block, step->which))
                return false;
        } else if (!step->is_text) {
            write_number(block, take_number(own++));
        } else if (!write_text(block, take_text(own++))) {
            return false;
        }
    }
    return true;
}

/* --- frames --- */

static uint64_t durable_of(const struct decoding *block, uint64_t number) {
    return block->first ? block->lsn - 1 - number
                        : block->tables->durable_lsn + columns_unzigzag(number);
}

/* One frame at `start`: everything around the payload follows from what is known. */
static bool write_frame(struct decoding *block, uint8_t *start, uint64_t offset) {
    struct archive_tables *tables = block->tables;
    const struct shape *shape =
        &tables->shapes[take_number(columns_at(tables, COLUMN_SHAPE))]; /* count_values() looked */
    const struct column *links = columns_at(tables, COLUMN_PREVIOUS_LSN);
    tables->durable_lsn = durable_of(block, take_number(columns_at(tables, COLUMN_DURABLE)));
    block->subject = (struct bytes_view){NULL, 0};
    /* The link stands behind the subject in the record, and says what the subject is. */
    block->linked = shape->link_at != VALUE_NONE
                        ? columns_member(tables, block->lsn - links->numbers[links->next])
                        : NULL;
    if (block->limit - start < WAL_FRAME_SIZE_MIN)
        return false;
    block->at = start + WAL_FRAME_HEADER_SIZE;
    if (!write_payload(block, shape))
        return false;
    size_t size = (size_t)(block->at - start) - WAL_FRAME_HEADER_SIZE;
    struct wal_frame frame = {.kind = WAL_FRAME_RECORD,
                              .previous = block->previous,
                              .lsn = block->lsn,
                              .durable_lsn = tables->durable_lsn,
                              .payload = {start + WAL_FRAME_HEADER_SIZE, size}};
    if (size == 0 || size > WAL_PAYLOAD_MAX || frame.durable_lsn >= frame.lsn ||
        wal_frame_size(size) > (size_t)(block->limit - start)) /* never more than was announced */
        return false;
    wal_frame_encode(start, block->seed, &frame);
    block->previous = frame.crc;
    block->at = start + frame.size;
    tables->members[tables->member_count++] = (struct member){offset, block->subject};
    return true;
}

static bool all_taken(const struct column *column) {
    return bytes_reader_ok(&column->number_at) && bytes_reader_ok(&column->text_at) &&
           (column->constant || (bytes_reader_left(&column->number_at) == 0 &&
                                 bytes_reader_left(&column->text_at) == 0));
}

static bool write_frames(struct decoding *block, struct bytes_buffer *out) {
    struct archive_tables *tables = block->tables;
    struct archive_frames *frames = block->frames;
    size_t before = out->size;
    uint8_t *start = bytes_buffer_extend(out, (size_t)frames->size + SLACK);
    if (start == NULL)
        return false;
    out->size = before;
    block->limit = start + frames->size;
    block->at = start;
    for (uint64_t i = 0; i < frames->count; i++, block->lsn++) {
        if (!write_frame(block, block->at, frames->offset + (uint64_t)(block->at - start)))
            return false;
    }
    out->size += (size_t)(block->at - start);
    return all_taken(columns_at(tables, COLUMN_SUBJECT)) &&
           all_taken(columns_at(tables, COLUMN_KEY)) && block->previous == frames->chain;
}

bool columns_read(struct archive_tables *tables, struct bytes_reader *reader, bool first,
                  struct bytes_view plain, uint32_t seed, struct bytes_buffer *out,
                  struct archive_frames *frames) {
    struct archive_hints hints = {.nested = bytes_read_u8(reader)};
    hints.time = bytes_read_u8(reader);
    hints.subject = bytes_read_u8(reader);
    hints.previous_lsn = bytes_read_u8(reader);
    hints.previous_offset = bytes_read_u8(reader);
    hints.key = bytes_read_u8(reader);
    if (frames->count > frames->size / WAL_FRAME_SIZE_MIN ||
        !columns_begin(tables, &hints, frames->first_lsn, frames->count) ||
        !read_shapes(tables, reader) || !read_columns(tables, reader, first, plain) ||
        !load_columns(tables, frames))
        return false;
    struct decoding block = {.tables = tables,
                             .frames = frames,
                             .first = first,
                             .seed = seed,
                             .previous = frames->previous,
                             .lsn = frames->first_lsn};
    return write_frames(&block, out);
}
