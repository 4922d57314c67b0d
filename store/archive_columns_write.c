/* Records taken apart into columns. */
#include "store/archive_columns.h"

#include <string.h>

/* --- a payload taken apart --- */

static size_t common_prefix(struct bytes_view a, struct bytes_view b) {
    size_t size = a.size < b.size ? a.size : b.size;
    size_t same = 0;
    for (; size - same >= sizeof(uint64_t); same += sizeof(uint64_t)) {
        uint64_t differ = bytes_load_u64(a.data + same) ^ bytes_load_u64(b.data + same);
        if (differ != 0)
            return same + (size_t)__builtin_ctzll(differ) / 8;
    }
    while (same < size && a.data[same] == b.data[same])
        same++;
    return same;
}

/* The tag behind those that are there, as it was read; they are noted byte by byte. */
static bool take_tag(struct archive_tables *tables, struct bytes_reader *reader, uint32_t *tag) {
    const uint8_t *at = reader->at;
    uint64_t read = bytes_read_varint(reader);
    size_t size = (size_t)(reader->at - at);
    if (read >> 3 == 0 || read > UINT32_MAX || tables->tags_size + size + 1 > SHAPE_SIZE_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        tables->tags[tables->tags_size++] = at[i];
    *tag = (uint32_t)read;
    return true;
}

static enum shared_column which_column(const struct archive_tables *tables, uint32_t tag,
                                       bool nested) {
    if (nested)
        return COLUMN_SHARED;
    return tag < sizeof tables->which ? (enum shared_column)tables->which[tag]
                                      : columns_which(&tables->hints, tag, false);
}

/* The members of one message. False: no protobuf that could be put together again. */
static bool take_message(struct archive_tables *tables, struct bytes_reader *reader, bool nested) {
    while (bytes_reader_left(reader) > 0) {
        uint32_t tag;
        if (!take_tag(tables, reader, &tag))
            return false;
        if (!nested && columns_is_nested(&tables->hints, tag)) {
            struct bytes_view inner = bytes_read_string(reader);
            struct bytes_reader inside = bytes_reader_make(inner.data, inner.size);
            if (!bytes_reader_ok(reader) || !take_message(tables, &inside, true))
                return false;
            continue;
        }
        if (tables->token_count == TOKENS_MAX)
            return false;
        struct token *token = &tables->tokens[tables->token_count++];
        token->which = which_column(tables, tag, nested);
        token->is_text = (tag & 7) == WIRE_BYTES;
        if (token->is_text)
            token->text = bytes_read_string(reader);
        else if ((tag & 7) == WIRE_VARINT)
            token->number = bytes_read_varint(reader);
        else
            return false;
    }
    tables->tags[tables->tags_size++] = TAG_NONE; /* take_tag() left room for it */
    return bytes_reader_ok(reader);
}

static inline bool is_tag(struct bytes_reader *reader, const struct step *step) {
    if (reader->at == reader->end || *reader->at++ != step->tag[0])
        return false;
    for (size_t i = 1; i < step->tag_size; i++) {
        if (bytes_read_u8(reader) != step->tag[i])
            return false;
    }
    return true;
}

/* The same by the steps of a shape that it may have. False: it has another, or none. */
static bool take_shape(struct archive_tables *tables, const struct shape *shape,
                       struct bytes_view payload) {
    struct bytes_reader whole = bytes_reader_make(payload.data, payload.size);
    struct bytes_reader inner = whole;
    struct bytes_reader *reader = &whole;
    struct token *token = tables->tokens;
    const struct step *step = &tables->steps[shape->first_step];
    const struct step *end = step + shape->step_count;
    for (; step < end; step++) {
        if (step->kind == STEP_CLOSE) {
            if (!bytes_reader_done(&inner))
                return false;
            reader = &whole;
            continue;
        }
        if (!is_tag(reader, step))
            return false;
        if (step->kind == STEP_OPEN) {
            struct bytes_view message = bytes_read_string(&whole);
            inner = bytes_reader_make(message.data, message.size);
            reader = &inner;
            continue;
        }
        token->which = step->which;
        token->is_text = step->is_text;
        if (step->is_text)
            token->text = bytes_read_string(reader);
        else
            token->number = bytes_read_varint(reader);
        token++;
    }
    tables->token_count = (size_t)(token - tables->tokens);
    return bytes_reader_done(&whole) && bytes_reader_ok(&inner);
}

/* The record's values, and its shape: the one that followed the last one's before, or by its tags.
 * NULL: it has none. */
static const struct shape *take_record(struct archive_tables *tables, struct bytes_view payload) {
    struct bytes_reader reader = bytes_reader_make(payload.data, payload.size);
    if (tables->shape_count > 0) {
        const struct shape *likely = &tables->shapes[tables->shapes[tables->last_shape].follower];
        if (take_shape(tables, likely, payload)) {
            tables->last_shape = (size_t)(likely - tables->shapes);
            return likely;
        }
    }
    tables->token_count = 0;
    tables->tags_size = 0;
    if (!take_message(tables, &reader, false))
        return NULL;
    const struct shape *shape = columns_shape(tables);
    if (shape == NULL)
        return NULL;
    tables->shapes[tables->last_shape].follower = (size_t)(shape - tables->shapes);
    tables->last_shape = (size_t)(shape - tables->shapes);
    return shape;
}

/* --- values put into columns --- */

static inline void put_number(struct archive_tables *tables, struct column *column,
                              uint64_t number) {
    if (column->number_count == column->number_capacity && !columns_grow_numbers(column, 0)) {
        tables->failed = true;
        return;
    }
    column->numbers[column->number_count++] = number;
}

static inline void put_text(struct archive_tables *tables, struct column *column,
                            struct bytes_view text) {
    put_number(tables, column, text.size);
    if (column->text_count == column->text_capacity && !columns_grow_texts(column)) {
        tables->failed = true;
        return;
    }
    column->texts[column->text_count++] = text;
    column->text_bytes += text.size;
}

/* As so many bytes of `like`, then others; `code` counts from `base`. */
static void put_alike(struct archive_tables *tables, struct column *column, uint64_t base,
                      struct bytes_view text, struct bytes_view like) {
    size_t same = common_prefix(text, like);
    put_number(tables, column, base + same);
    put_text(tables, column, (struct bytes_view){text.data + same, text.size - same});
}

static bool same_text(struct bytes_view a, struct bytes_view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Code 0: that of the record which the link leads to; else common bytes with the last one + 1. */
static void put_subject(struct archive_tables *tables, struct column *column,
                        struct bytes_view subject, const struct member *linked) {
    if (linked != NULL && same_text(linked->subject, subject))
        put_number(tables, column, 0);
    else
        put_alike(tables, column, 1, subject, tables->subject);
    tables->subject = subject;
}

static void put_shared(struct archive_tables *tables, const struct token *token, uint64_t lsn,
                       const struct member *linked) {
    struct column *column = columns_at(tables, token->which);
    switch (token->which) {
    case COLUMN_TIME:
        put_number(tables, column, columns_zigzag(token->number - (uint64_t)tables->time_ms));
        tables->time_ms = (int64_t)token->number;
        break;
    case COLUMN_PREVIOUS_LSN:
        put_number(tables, column, lsn - token->number);
        break;
    case COLUMN_PREVIOUS_OFFSET:
        put_number(tables, column,
                   columns_zigzag(token->number -
                                  (linked != NULL ? linked->offset / 8 : tables->loose_offset)));
        if (linked == NULL)
            tables->loose_offset = token->number;
        break;
    case COLUMN_SUBJECT:
        put_subject(tables, column, token->text, linked);
        break;
    case COLUMN_KEY:
        put_alike(tables, column, 0, token->text, tables->key);
        tables->key = token->text;
        break;
    case COLUMN_SHAPE:
    case COLUMN_DURABLE:
    case COLUMN_SHARED:
        break;
    }
}

static bool put_record(struct archive_tables *tables, const struct wal_frame *frame,
                       uint64_t offset) {
    const struct shape *shape = take_record(tables, frame->payload);
    if (shape == NULL)
        return false;
    struct bytes_view subject = {NULL, 0};
    uint64_t link = 0;
    if (shape->subject_at != VALUE_NONE)
        subject = tables->tokens[shape->subject_at].text;
    if (shape->link_at != VALUE_NONE)
        link = tables->tokens[shape->link_at].number;
    put_number(tables, columns_at(tables, COLUMN_SHAPE), (uint64_t)(shape - tables->shapes));
    put_number(tables, columns_at(tables, COLUMN_DURABLE),
               columns_zigzag(frame->durable_lsn - tables->durable_lsn));
    tables->durable_lsn = frame->durable_lsn;
    const struct member *linked = columns_member(tables, link);
    struct column *own_column = &tables->columns[shape->first_column];
    for (size_t i = 0; i < tables->token_count; i++) {
        const struct token *token = &tables->tokens[i];
        if (token->which != COLUMN_SHARED)
            put_shared(tables, token, frame->lsn, linked);
        else if (token->is_text)
            put_text(tables, own_column++, token->text);
        else
            put_number(tables, own_column++, token->number);
    }
    tables->members[tables->member_count++] = (struct member){offset, subject};
    return !tables->failed;
}

bool columns_take_apart(struct archive_tables *tables, const struct archive_frames *frames) {
    size_t at = 0;
    for (uint64_t lsn = frames->first_lsn; at < frames->bytes.size; lsn++) {
        struct wal_frame frame;
        if (!wal_frame_view(frames->bytes.data + at, frames->bytes.size - at, &frame) ||
            frame.kind != WAL_FRAME_RECORD || frame.lsn != lsn ||
            tables->member_count == frames->count ||
            !put_record(tables, &frame, frames->offset + at))
            return false;
        if (tables->member_count == 1)
            tables->first_ms = tables->time_ms;
        at += (size_t)frame.size;
    }
    return tables->member_count == frames->count;
}

/* --- columns, written --- */

static bool has_one_value(const struct column *column) {
    if (column->number_count == 0)
        return false;
    for (size_t i = 1; i < column->number_count; i++) {
        if (column->numbers[i] != column->numbers[0])
            return false;
    }
    for (size_t i = 1; i < column->text_count; i++) {
        if (!same_text(column->texts[i], column->texts[0]))
            return false;
    }
    return true;
}

enum { PLAIN_MIN = 1024, SAMPLE = 2048, SLOTS = 1024, SLOT_SHIFT = 54 };

/* Do the first SAMPLE bytes use all values about alike? Of random ones two are the same every 256th
 * time; deflate saves next to nothing where it is not more than every 128th. */
static bool looks_random(const struct column *column) {
    uint32_t counts[256] = {0};
    uint32_t size = 0;
    uint64_t pairs = 0;
    for (size_t i = 0; i < column->text_count && size < SAMPLE; i++) {
        struct bytes_view text = column->texts[i];
        for (size_t j = 0; j < text.size && size < SAMPLE; j++, size++)
            counts[text.data[j]]++;
    }
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        pairs += (uint64_t)counts[i] * counts[i];
    return pairs < size + (uint64_t)size * size / 128;
}

/* Are more than a few texts there twice, by their first eight bytes? Those deflate would find. */
static bool repeats(const struct column *column) {
    uint64_t seen[SLOTS] = {0};
    size_t twice = 0;
    for (size_t i = 0; i < column->text_count; i++) {
        if (column->texts[i].size < sizeof *seen)
            return true; /* too short for that: nothing is known */
        uint64_t start = bytes_load_u64(column->texts[i].data);
        uint64_t *slot = &seen[start * UINT64_C(0x9e3779b97f4a7c15) >> SLOT_SHIFT];
        twice += *slot == start;
        *slot = start;
    }
    return twice > column->text_count / 16;
}

void columns_write_plain(struct archive_tables *tables, struct bytes_buffer *plain) {
    size_t count = COLUMN_SHARED + tables->column_count;
    for (size_t i = 0; i < count; i++) {
        struct column *column = columns_at(tables, i);
        column->constant = i != COLUMN_SUBJECT && i != COLUMN_KEY && has_one_value(column);
        if (column->constant || i < COLUMN_SHARED || column->text_bytes < PLAIN_MIN ||
            !looks_random(column) || repeats(column))
            continue;
        column->form = FORM_PLAIN;
        for (size_t j = 0; j < column->text_count; j++)
            bytes_write_run(plain, column->texts[j].data, column->texts[j].size);
    }
}

/* The numbers of the column, appended; how many bytes that is. */
static size_t write_numbers(const struct column *column, struct bytes_buffer *to) {
    size_t start = to->size;
    size_t count = column->constant ? 1 : column->number_count;
    for (size_t i = 0; i < count; i++)
        bytes_write_varint(to, column->numbers[i]);
    return to->size - start;
}

static size_t write_texts(const struct column *column, struct bytes_buffer *to) {
    size_t start = to->size;
    size_t count = column->constant && column->text_count > 0 ? 1 : column->text_count;
    if (column->form == FORM_PLAIN)
        return column->text_bytes;
    for (size_t i = 0; i < count; i++)
        bytes_write_run(to, column->texts[i].data, column->texts[i].size);
    return to->size - start;
}

void columns_write(struct archive_tables *tables, struct bytes_buffer *body) {
    const struct archive_hints *hints = &tables->hints;
    struct bytes_buffer *packed = &tables->packed;
    const uint8_t numbers[] = {hints->nested,          hints->time,
                               hints->subject,         hints->previous_lsn,
                               hints->previous_offset, hints->key};
    bytes_write_run(body, numbers, sizeof numbers);
    bytes_write_varint(body, tables->shape_count);
    for (size_t i = 0; i < tables->shape_count; i++)
        bytes_write_string(body, (const char *)tables->shapes[i].tags, tables->shapes[i].size);
    size_t count = COLUMN_SHARED + tables->column_count;
    bytes_write_varint(body, count);
    bytes_buffer_clear(packed);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = columns_at(tables, i);
        uint64_t numbers_size = write_numbers(column, packed);
        uint64_t texts_size = write_texts(column, packed);
        bytes_write_varint(body, numbers_size << 1 | column->constant);
        bytes_write_varint(body, texts_size << 1 | column->form);
    }
    bytes_write_run(body, packed->data, packed->size);
    if (!bytes_buffer_ok(packed))
        body->failed = true;
}
