/* Records taken apart into columns. */
#include "store/archive_columns.h"

#include <string.h>

/* --- a payload taken apart --- */

static size_t common_prefix(struct bytes_view a, struct bytes_view b) {
    size_t size = a.size < b.size ? a.size : b.size;
    size_t same = 0;
    while (same < size && a.data[same] == b.data[same])
        same++;
    return same;
}

static bool put_tag(struct archive_tables *tables, uint32_t tag) {
    if (tables->tags_size + 5 > SHAPE_SIZE_MAX)
        return false;
    while (tag >= 0x80) {
        tables->tags[tables->tags_size++] = (uint8_t)(tag | 0x80);
        tag >>= 7;
    }
    tables->tags[tables->tags_size++] = (uint8_t)tag;
    return true;
}

/* The members of one message. False: no protobuf that could be put together again. */
static bool take_message(struct archive_tables *tables, struct bytes_reader *reader, bool nested) {
    while (bytes_reader_left(reader) > 0) {
        uint64_t tag = bytes_read_varint(reader);
        if (tag >> 3 == 0 || tag > UINT32_MAX || !put_tag(tables, (uint32_t)tag))
            return false;
        if (!nested && columns_is_nested(&tables->hints, (uint32_t)tag)) {
            struct bytes_view inner = bytes_read_string(reader);
            struct bytes_reader inside = bytes_reader_make(inner.data, inner.size);
            if (!bytes_reader_ok(reader) || !take_message(tables, &inside, true))
                return false;
            continue;
        }
        if (tables->token_count == TOKENS_MAX)
            return false;
        struct token *token = &tables->tokens[tables->token_count++];
        *token = (struct token){.tag = (uint32_t)tag,
                                .which = columns_which(&tables->hints, (uint32_t)tag, nested)};
        if ((tag & 7) == WIRE_VARINT)
            token->number = bytes_read_varint(reader);
        else if ((tag & 7) == WIRE_BYTES)
            token->text = bytes_read_string(reader);
        else
            return false;
    }
    return bytes_reader_ok(reader) && put_tag(tables, TAG_NONE);
}

/* --- columns, written --- */

static void end_value(struct column *column, size_t numbers_before, size_t text_before) {
    if (column->count++ == 0) {
        column->first_numbers = column->numbers.size;
        column->first_text = column->text.size;
        return;
    }
    if (!column->constant)
        return;
    size_t numbers = column->numbers.size - numbers_before;
    size_t text = column->text.size - text_before;
    if (numbers != column->first_numbers || text != column->first_text ||
        !bytes_buffer_ok(&column->numbers) || !bytes_buffer_ok(&column->text) ||
        memcmp(column->numbers.data, column->numbers.data + numbers_before, numbers) != 0 ||
        (text > 0 && memcmp(column->text.data, column->text.data + text_before, text) != 0))
        column->constant = false;
}

static void put_number(struct column *column, uint64_t number) {
    size_t before = column->numbers.size;
    bytes_write_varint(&column->numbers, number);
    end_value(column, before, column->text.size);
}

static void put_text(struct column *column, struct bytes_view text) {
    size_t numbers_before = column->numbers.size;
    size_t text_before = column->text.size;
    bytes_write_varint(&column->numbers, text.size);
    bytes_write_run(&column->text, text.data, text.size);
    end_value(column, numbers_before, text_before);
}

/* As so many bytes of `like`, then others; `code` counts from `base`. */
static void put_alike(struct column *column, uint64_t base, struct bytes_view text,
                      struct bytes_view like) {
    size_t numbers_before = column->numbers.size;
    size_t text_before = column->text.size;
    size_t same = common_prefix(text, like);
    bytes_write_varint(&column->numbers, base + same);
    bytes_write_varint(&column->numbers, text.size - same);
    bytes_write_run(&column->text, text.data + same, text.size - same);
    end_value(column, numbers_before, text_before);
}

static bool same_text(struct bytes_view a, struct bytes_view b) {
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

/* Code 0: that of the record which the link leads to; else common bytes with the last one + 1. */
static void put_subject(struct archive_tables *tables, struct column *column,
                        struct bytes_view subject, const struct member *linked) {
    if (linked != NULL && same_text(linked->subject, subject))
        put_number(column, 0);
    else
        put_alike(column, 1, subject, tables->subject);
    tables->subject = subject;
}

static void put_shared(struct archive_tables *tables, enum shared_column which, uint64_t lsn,
                       const struct token *token, const struct member *linked) {
    struct column *column = columns_at(tables, which);
    switch (which) {
    case COLUMN_TIME:
        put_number(column, columns_zigzag(token->number - (uint64_t)tables->time_ms));
        tables->time_ms = (int64_t)token->number;
        break;
    case COLUMN_PREVIOUS_LSN:
        put_number(column, lsn - token->number);
        break;
    case COLUMN_PREVIOUS_OFFSET:
        put_number(column, linked != NULL ? columns_zigzag(token->number - linked->offset / 8)
                                          : token->number);
        break;
    case COLUMN_SUBJECT:
        put_subject(tables, column, token->text, linked);
        break;
    case COLUMN_KEY:
        put_alike(column, 0, token->text, tables->key);
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
    struct bytes_reader reader = bytes_reader_make(frame->payload.data, frame->payload.size);
    tables->token_count = 0;
    tables->tags_size = 0;
    if (!take_message(tables, &reader, false))
        return false;
    const struct shape *shape = columns_shape(tables);
    if (shape == NULL)
        return false;
    struct bytes_view subject = {NULL, 0};
    uint64_t link = 0;
    for (size_t i = tables->token_count; i-- > 0;) { /* of several the first counts */
        const struct token *token = &tables->tokens[i];
        if (token->which == COLUMN_SUBJECT)
            subject = token->text;
        if (token->which == COLUMN_PREVIOUS_LSN)
            link = token->number;
    }
    put_number(columns_at(tables, COLUMN_SHAPE), (uint64_t)(shape - tables->shapes));
    put_number(columns_at(tables, COLUMN_DURABLE), frame->lsn - 1 - frame->durable_lsn);
    const struct member *linked = columns_member(tables, link);
    struct column *own_column = &tables->columns[shape->first_column];
    for (size_t i = 0; i < tables->token_count; i++) {
        const struct token *token = &tables->tokens[i];
        if (token->which != COLUMN_SHARED)
            put_shared(tables, token->which, frame->lsn, token, linked);
        else if ((token->tag & 7) == WIRE_VARINT)
            put_number(own_column++, token->number);
        else
            put_text(own_column++, token->text);
    }
    tables->members[tables->member_count++] = (struct member){offset, subject};
    return true;
}

bool columns_take_apart(struct archive_tables *tables, uint32_t seed,
                        const struct archive_frames *frames) {
    size_t at = 0;
    for (size_t i = 0; i < COLUMN_SHARED; i++) {
        struct column *column = columns_at(tables, i);
        bytes_buffer_clear(&column->numbers);
        bytes_buffer_clear(&column->text);
        column->count = 0;
        column->constant = true;
    }
    for (uint64_t lsn = frames->first_lsn; at < frames->bytes.size; lsn++) {
        struct wal_frame frame;
        if (frames->bytes.size - at < WAL_FRAME_SIZE_MIN ||
            wal_frame_decode_header(frames->bytes.data + at, seed, &frame) != NULL ||
            frame.kind != WAL_FRAME_RECORD || frame.lsn != lsn ||
            frame.size > frames->bytes.size - at ||
            wal_frame_decode_body(frames->bytes.data + at, &frame) != NULL ||
            tables->member_count == frames->count ||
            !put_record(tables, &frame, frames->offset + at))
            return false;
        if (tables->member_count == 1)
            tables->first_ms = tables->time_ms;
        at += (size_t)frame.size;
    }
    return tables->member_count == frames->count;
}

void columns_write(struct archive_tables *tables, struct bytes_buffer *body) {
    const struct archive_hints *hints = &tables->hints;
    const uint8_t numbers[] = {hints->nested,          hints->time,
                               hints->subject,         hints->previous_lsn,
                               hints->previous_offset, hints->key};
    bytes_write_run(body, numbers, sizeof numbers);
    bytes_write_varint(body, tables->shape_count);
    for (size_t i = 0; i < tables->shape_count; i++)
        bytes_write_string(body, (const char *)tables->shapes[i].tags, tables->shapes[i].size);
    size_t count = COLUMN_SHARED + tables->column_count;
    bytes_write_varint(body, count);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = columns_at(tables, i);
        bool constant = column->constant && column->count > 0;
        size_t numbers_size = constant ? column->first_numbers : column->numbers.size;
        bytes_write_varint(body, (uint64_t)numbers_size << 1 | constant);
        bytes_write_varint(body, constant ? column->first_text : column->text.size);
    }
    for (size_t i = 0; i < count; i++) {
        const struct column *column = columns_at(tables, i);
        bool constant = column->constant && column->count > 0;
        bytes_write_run(body, column->numbers.data,
                        constant ? column->first_numbers : column->numbers.size);
        bytes_write_run(body, column->text.data, constant ? column->first_text : column->text.size);
        if (!bytes_buffer_ok(&column->numbers) || !bytes_buffer_ok(&column->text))
            body->failed = true;
    }
}
