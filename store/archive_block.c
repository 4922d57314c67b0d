#include "store/archive_block.h"

#include <stdlib.h>
#include <string.h>

/* Body: kind u8, first LSN, count, offset, size, byte count (varints), previous u32, chain u32;
 * then the frames themselves (RAW), or hints u8 * 6, shapes, column heads and columns. */
enum body_kind { BODY_RAW = 1, BODY_COLUMNS = 2 };

enum {
    SHAPES_MAX = 200,
    TOKENS_MAX = 400, /* values of one record */
    SHAPE_SIZE_MAX = 1200,
    COLUMNS_MAX = 6000,
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    TAG_NONE = 0, /* ends a nested message, and a record */
};

/* Columns that all shapes share; behind them each value of each shape has its own. */
enum shared_column {
    COLUMN_SHAPE,
    COLUMN_DURABLE,
    COLUMN_TIME,
    COLUMN_PREVIOUS_LSN,
    COLUMN_PREVIOUS_OFFSET,
    COLUMN_SUBJECT,
    COLUMN_KEY,
    COLUMN_SHARED, /* how many */
};

/* Numbers (or sizes of texts) as varints, and the bytes of texts. A column whose values are all the
 * same has just one. */
struct column {
    struct bytes_buffer numbers, text;
    size_t first_numbers, first_text; /* sizes after the first value */
    bool constant;
    uint64_t count;
    /* reading */
    struct bytes_reader number_at, text_at;
    struct bytes_view all_numbers, all_text;
};

/* The tags of a record in order; those of a nested message end with TAG_NONE, and so does all. */
struct shape {
    uint32_t hash;
    size_t size;
    uint8_t tags[SHAPE_SIZE_MAX];
    size_t first_column; /* of its values that have a column of their own */
    bool has_link;       /* a value that goes to COLUMN_PREVIOUS_LSN */
};

struct token {
    uint32_t tag;
    bool nested; /* in a nested message */
    uint64_t number;
    struct bytes_view text;
};

/* What one record of the block is remembered for: later ones lead back to it. */
struct member {
    uint64_t offset;
    struct bytes_view subject;
};

/* Either direction. */
struct archive_tables {
    struct archive_hints hints;
    struct shape *shapes;
    size_t shape_count;
    struct column *columns;
    size_t column_count;
    struct member *members;
    size_t member_count, member_capacity;
    uint64_t first_lsn;
    int64_t time_ms, first_ms;
    struct bytes_view key;     /* of the record before that had one */
    struct bytes_view subject; /* likewise */
    struct bytes_buffer payload, check, texts;
    struct token tokens[TOKENS_MAX];
    size_t token_count;
    uint8_t tags[SHAPE_SIZE_MAX];
    size_t tags_size;
};

struct archive_tables *archive_tables_create(void) {
    struct archive_tables *tables = calloc(1, sizeof *tables);
    if (tables == NULL)
        return NULL;
    tables->shapes = malloc(SHAPES_MAX * sizeof *tables->shapes);
    tables->columns = calloc(COLUMNS_MAX, sizeof *tables->columns);
    if (tables->shapes == NULL || tables->columns == NULL) {
        archive_tables_destroy(tables);
        return NULL;
    }
    return tables;
}

void archive_tables_destroy(struct archive_tables *tables) {
    if (tables == NULL)
        return;
    for (size_t i = 0; tables->columns != NULL && i < COLUMNS_MAX; i++) {
        bytes_buffer_deinit(&tables->columns[i].numbers);
        bytes_buffer_deinit(&tables->columns[i].text);
    }
    bytes_buffer_deinit(&tables->payload);
    bytes_buffer_deinit(&tables->check);
    bytes_buffer_deinit(&tables->texts);
    free(tables->columns);
    free(tables->shapes);
    free(tables->members);
    free(tables);
}

static bool begin(struct archive_tables *tables, const struct archive_hints *hints,
                  uint64_t first_lsn, uint64_t count) {
    tables->hints = *hints;
    tables->shape_count = 0;
    tables->column_count = 0;
    tables->member_count = 0;
    tables->first_lsn = first_lsn;
    tables->time_ms = 0;
    tables->first_ms = 0;
    tables->key = (struct bytes_view){NULL, 0};
    tables->subject = (struct bytes_view){NULL, 0};
    if (count <= tables->member_capacity)
        return true;
    free(tables->members);
    tables->members = malloc(count * sizeof *tables->members);
    tables->member_capacity = tables->members != NULL ? count : 0;
    return tables->members != NULL;
}

/* The record of this block with that LSN; NULL: it is in another. */
static const struct member *member_of(const struct archive_tables *tables, uint64_t lsn) {
    uint64_t index = lsn - tables->first_lsn;
    return lsn >= tables->first_lsn && index < tables->member_count ? &tables->members[index]
                                                                    : NULL;
}

static uint64_t zigzag(uint64_t difference) {
    return difference << 1 ^ (0 - (difference >> 63));
}

static uint64_t unzigzag(uint64_t bits) {
    return bits >> 1 ^ (0 - (bits & 1));
}

static size_t common_prefix(struct bytes_view a, struct bytes_view b) {
    size_t size = a.size < b.size ? a.size : b.size;
    size_t same = 0;
    while (same < size && a.data[same] == b.data[same])
        same++;
    return same;
}

/* --- which column a value goes to --- */

static enum shared_column shared_of(const struct archive_hints *hints, const struct token *token) {
    uint32_t field = token->tag >> 3;
    if (token->nested || field > UINT8_MAX)
        return COLUMN_SHARED;
    if ((token->tag & 7) == WIRE_VARINT) {
        if (field == hints->time)
            return COLUMN_TIME;
        if (field == hints->previous_lsn)
            return COLUMN_PREVIOUS_LSN;
        if (field == hints->previous_offset)
            return COLUMN_PREVIOUS_OFFSET;
    } else if (field == hints->subject) {
        return COLUMN_SUBJECT;
    } else if (field == hints->key) {
        return COLUMN_KEY;
    }
    return COLUMN_SHARED;
}

static bool is_nested_tag(const struct archive_hints *hints, uint32_t tag) {
    return hints->nested != 0 && tag == ((uint32_t)hints->nested << 3 | WIRE_BYTES);
}

/* --- a payload taken apart --- */

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
        if (!nested && is_nested_tag(&tables->hints, (uint32_t)tag)) {
            struct bytes_view inner = bytes_read_string(reader);
            struct bytes_reader inside = bytes_reader_make(inner.data, inner.size);
            if (!bytes_reader_ok(reader) || !take_message(tables, &inside, true))
                return false;
            continue;
        }
        if (tables->token_count == TOKENS_MAX)
            return false;
        struct token *token = &tables->tokens[tables->token_count++];
        *token = (struct token){.tag = (uint32_t)tag, .nested = nested};
        if ((tag & 7) == WIRE_VARINT)
            token->number = bytes_read_varint(reader);
        else if ((tag & 7) == WIRE_BYTES)
            token->text = bytes_read_string(reader);
        else
            return false;
    }
    return bytes_reader_ok(reader) && put_tag(tables, TAG_NONE);
}

static struct shape *find_shape(struct archive_tables *tables) {
    uint32_t hash = crc32c(0, tables->tags, tables->tags_size);
    for (size_t i = 0; i < tables->shape_count; i++) {
        struct shape *shape = &tables->shapes[i];
        if (shape->hash == hash && shape->size == tables->tags_size &&
            memcmp(shape->tags, tables->tags, shape->size) == 0)
            return shape;
    }
    return NULL;
}

static void clear_column(struct column *column) {
    bytes_buffer_clear(&column->numbers);
    bytes_buffer_clear(&column->text);
    column->count = 0;
    column->constant = true;
}

/* A new shape for the tags at hand, with columns for its values. NULL: too many. */
static struct shape *add_shape(struct archive_tables *tables, size_t own_count, bool has_link) {
    if (tables->shape_count == SHAPES_MAX ||
        tables->column_count + own_count > COLUMNS_MAX - COLUMN_SHARED)
        return NULL;
    struct shape *shape = &tables->shapes[tables->shape_count++];
    shape->hash = crc32c(0, tables->tags, tables->tags_size);
    shape->size = tables->tags_size;
    memcpy(shape->tags, tables->tags, shape->size);
    shape->first_column = tables->column_count;
    shape->has_link = has_link;
    for (size_t i = 0; i < own_count; i++)
        clear_column(&tables->columns[tables->column_count++]);
    return shape;
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

static struct bytes_view text_of(const struct archive_tables *tables, enum shared_column which) {
    for (size_t i = 0; i < tables->token_count; i++) {
        if (shared_of(&tables->hints, &tables->tokens[i]) == which)
            return tables->tokens[i].text;
    }
    return (struct bytes_view){NULL, 0};
}

static uint64_t number_of(const struct archive_tables *tables, enum shared_column which) {
    for (size_t i = 0; i < tables->token_count; i++) {
        if (shared_of(&tables->hints, &tables->tokens[i]) == which)
            return tables->tokens[i].number;
    }
    return 0;
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
    struct column *column = &tables->columns[COLUMNS_MAX - COLUMN_SHARED + which];
    switch (which) {
    case COLUMN_TIME:
        put_number(column, zigzag(token->number - (uint64_t)tables->time_ms));
        tables->time_ms = (int64_t)token->number;
        break;
    case COLUMN_PREVIOUS_LSN:
        put_number(column, lsn - token->number);
        break;
    case COLUMN_PREVIOUS_OFFSET:
        put_number(column,
                   linked != NULL ? zigzag(token->number - linked->offset / 8) : token->number);
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
    size_t own = 0;
    bool has_link = false;
    for (size_t i = 0; i < tables->token_count; i++) {
        enum shared_column which = shared_of(&tables->hints, &tables->tokens[i]);
        own += which == COLUMN_SHARED;
        has_link |= which == COLUMN_PREVIOUS_LSN;
    }
    struct shape *shape = find_shape(tables);
    if (shape == NULL)
        shape = add_shape(tables, own, has_link);
    if (shape == NULL)
        return false;
    struct column *shared = &tables->columns[COLUMNS_MAX - COLUMN_SHARED];
    put_number(&shared[COLUMN_SHAPE], (uint64_t)(shape - tables->shapes));
    put_number(&shared[COLUMN_DURABLE], frame->lsn - 1 - frame->durable_lsn);
    const struct member *linked = member_of(tables, number_of(tables, COLUMN_PREVIOUS_LSN));
    struct column *own_column = &tables->columns[shape->first_column];
    for (size_t i = 0; i < tables->token_count; i++) {
        const struct token *token = &tables->tokens[i];
        enum shared_column which = shared_of(&tables->hints, token);
        if (which != COLUMN_SHARED)
            put_shared(tables, which, frame->lsn, token, linked);
        else if ((token->tag & 7) == WIRE_VARINT)
            put_number(own_column++, token->number);
        else
            put_text(own_column++, token->text);
    }
    tables->members[tables->member_count++] =
        (struct member){offset, text_of(tables, COLUMN_SUBJECT)};
    return true;
}

/* All frames into columns. False: they do not go in. */
static bool put_frames(struct archive_tables *tables, uint32_t seed,
                       const struct archive_frames *frames) {
    size_t at = 0;
    for (size_t i = COLUMNS_MAX - COLUMN_SHARED; i < COLUMNS_MAX; i++)
        clear_column(&tables->columns[i]);
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

static void write_head(enum body_kind kind, const struct archive_frames *frames,
                       struct bytes_buffer *body) {
    bytes_write_u8(body, (uint8_t)kind);
    bytes_write_varint(body, frames->first_lsn);
    bytes_write_varint(body, frames->count);
    bytes_write_varint(body, frames->offset);
    bytes_write_varint(body, frames->size);
    bytes_write_varint(body, frames->bytes.size);
    bytes_write_u32(body, frames->previous);
    bytes_write_u32(body, frames->chain);
}

static struct column *column_at(struct archive_tables *tables, size_t index) {
    return index < COLUMN_SHARED ? &tables->columns[COLUMNS_MAX - COLUMN_SHARED + index]
                                 : &tables->columns[index - COLUMN_SHARED];
}

static void write_columns(struct archive_tables *tables, struct bytes_buffer *body) {
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
        const struct column *column = column_at(tables, i);
        bool constant = column->constant && column->count > 0;
        size_t numbers_size = constant ? column->first_numbers : column->numbers.size;
        bytes_write_varint(body, (uint64_t)numbers_size << 1 | constant);
        bytes_write_varint(body, constant ? column->first_text : column->text.size);
    }
    for (size_t i = 0; i < count; i++) {
        const struct column *column = column_at(tables, i);
        bool constant = column->constant && column->count > 0;
        bytes_write_run(body, column->numbers.data,
                        constant ? column->first_numbers : column->numbers.size);
        bytes_write_run(body, column->text.data, constant ? column->first_text : column->text.size);
        if (!bytes_buffer_ok(&column->numbers) || !bytes_buffer_ok(&column->text))
            body->failed = true;
    }
}

/* Do the columns give back the very same bytes? */
static bool comes_back(struct archive_tables *checker, struct bytes_view body, uint32_t seed,
                       const struct archive_frames *frames) {
    struct archive_frames back;
    bytes_buffer_clear(&checker->check);
    return archive_block_decode(checker, body, seed, &checker->check, &back, NULL) == WF_OK &&
           same_text(back.bytes, frames->bytes);
}

enum wf_status archive_block_encode(struct archive_tables *tables, struct archive_tables *checker,
                                    const struct archive_hints *hints, uint32_t seed,
                                    const struct archive_frames *frames, struct bytes_buffer *body,
                                    int64_t *first_ms, int64_t *last_ms, struct wf_error *err) {
    size_t start = body->size;
    if (!begin(tables, hints, frames->first_lsn, frames->count))
        return error_set(err, WF_NO_MEMORY, "no memory to archive");
    bool columns = put_frames(tables, seed, frames);
    *first_ms = tables->first_ms;
    *last_ms = tables->time_ms;
    if (columns) {
        write_head(BODY_COLUMNS, frames, body);
        write_columns(tables, body);
        struct bytes_view written = {body->data + start, body->size - start};
        columns = bytes_buffer_ok(body) && comes_back(checker, written, seed, frames);
    }
    if (!columns && bytes_buffer_ok(body)) {
        body->size = start;
        write_head(BODY_RAW, frames, body);
        bytes_write_run(body, frames->bytes.data, frames->bytes.size);
    }
    return bytes_buffer_ok(body) ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory to archive");
}

/* --- reading --- */

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

static void write_value(struct archive_tables *tables, uint32_t tag, bool nested,
                        const struct decoding *block, const struct member *linked,
                        struct column **own, struct bytes_view *subject) {
    struct bytes_buffer *to = &tables->payload;
    const struct token token = {.tag = tag, .nested = nested};
    enum shared_column which = shared_of(&tables->hints, &token);
    struct column *column = which == COLUMN_SHARED ? (*own)++ : column_at(tables, which);
    struct bytes_view text = {NULL, 0};
    switch (which) {
    case COLUMN_TIME:
        tables->time_ms = (int64_t)((uint64_t)tables->time_ms + unzigzag(take_number(column)));
        bytes_write_varint(to, (uint64_t)tables->time_ms);
        return;
    case COLUMN_PREVIOUS_LSN:
        bytes_write_varint(to, block->lsn - take_number(column));
        return;
    case COLUMN_PREVIOUS_OFFSET: {
        uint64_t number = take_number(column);
        bytes_write_varint(to, linked != NULL ? linked->offset / 8 + unzigzag(number) : number);
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
        if ((tag & 7) == WIRE_VARINT) {
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

/* One record's payload. False: the columns make no sense. */
static bool read_payload(struct archive_tables *tables, const struct shape *shape,
                         const struct decoding *block, struct bytes_view *subject) {
    struct bytes_reader tags = bytes_reader_make(shape->tags, shape->size);
    struct column *own = &tables->columns[shape->first_column];
    const struct member *linked = NULL;
    bool nested = false;
    size_t nested_start = 0;
    bytes_buffer_clear(&tables->payload);
    /* The link stands behind the subject in the record, and says what the subject is. */
    if (shape->has_link)
        linked =
            member_of(tables, block->lsn - peek_number(column_at(tables, COLUMN_PREVIOUS_LSN)));
    for (;;) {
        uint64_t tag = bytes_read_varint(&tags);
        if (!bytes_reader_ok(&tags))
            return false;
        if (tag == TAG_NONE && !nested)
            return bytes_reader_done(&tags);
        if (tag == TAG_NONE) {
            close_nested(&tables->payload, nested_start);
            nested = false;
            continue;
        }
        bytes_write_varint(&tables->payload, tag);
        if (!nested && is_nested_tag(&tables->hints, (uint32_t)tag)) {
            nested = true;
            nested_start = tables->payload.size;
            continue;
        }
        write_value(tables, (uint32_t)tag, nested, block, linked, &own, subject);
    }
}

static bool columns_ok(struct archive_tables *tables) {
    for (size_t i = 0; i < COLUMN_SHARED + tables->column_count; i++) {
        struct column *column = column_at(tables, i);
        if (!bytes_reader_ok(&column->number_at) || !bytes_reader_ok(&column->text_at))
            return false;
        if (!column->constant &&
            (bytes_reader_left(&column->number_at) > 0 || bytes_reader_left(&column->text_at) > 0))
            return false;
    }
    return true;
}

/* How many values of a shape have a column of their own; SIZE_MAX: the tags are none. */
static size_t own_values(const struct archive_hints *hints, struct bytes_view shape,
                         bool *has_link) {
    struct bytes_reader tags = bytes_reader_make(shape.data, shape.size);
    size_t own = 0;
    bool nested = false;
    while (bytes_reader_left(&tags) > 0) {
        uint64_t tag = bytes_read_varint(&tags);
        if (tag > UINT32_MAX)
            return SIZE_MAX;
        if (tag == TAG_NONE && nested) {
            nested = false;
        } else if (!nested && is_nested_tag(hints, (uint32_t)tag)) {
            nested = true;
        } else if (tag != TAG_NONE) {
            const struct token token = {.tag = (uint32_t)tag, .nested = nested};
            enum shared_column which = shared_of(hints, &token);
            own += which == COLUMN_SHARED;
            *has_link |= which == COLUMN_PREVIOUS_LSN;
        }
    }
    return bytes_reader_ok(&tags) ? own : SIZE_MAX;
}

static bool read_shapes(struct archive_tables *tables, struct bytes_reader *reader) {
    uint64_t count = bytes_read_varint(reader);
    if (count > SHAPES_MAX)
        return false;
    for (uint64_t i = 0; i < count; i++) {
        struct bytes_view shape = bytes_read_string(reader);
        bool has_link = false;
        size_t own = own_values(&tables->hints, shape, &has_link);
        if (!bytes_reader_ok(reader) || shape.size > SHAPE_SIZE_MAX || own > TOKENS_MAX)
            return false;
        if (shape.size > 0)
            memcpy(tables->tags, shape.data, shape.size);
        tables->tags_size = shape.size;
        if (add_shape(tables, own, has_link) == NULL)
            return false;
    }
    return true;
}

static bool read_columns(struct archive_tables *tables, struct bytes_reader *reader) {
    size_t count = COLUMN_SHARED + tables->column_count;
    if (bytes_read_varint(reader) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct column *column = column_at(tables, i);
        uint64_t numbers = bytes_read_varint(reader);
        column->constant = (numbers & 1) != 0;
        uint64_t text = bytes_read_varint(reader);
        if (numbers >> 1 > ARCHIVE_BODY_MAX || text > ARCHIVE_BODY_MAX)
            return false;
        column->all_numbers.size = (size_t)(numbers >> 1);
        column->all_text.size = (size_t)text;
    }
    for (size_t i = 0; i < count; i++) {
        struct column *column = column_at(tables, i);
        column->all_numbers = bytes_read_run(reader, column->all_numbers.size);
        column->all_text = bytes_read_run(reader, column->all_text.size);
        column->number_at = bytes_reader_make(column->all_numbers.data, column->all_numbers.size);
        column->text_at = bytes_reader_make(column->all_text.data, column->all_text.size);
    }
    return bytes_reader_done(reader);
}

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

static bool decode_columns(struct archive_tables *tables, struct bytes_reader *reader,
                           uint32_t seed, struct bytes_buffer *out, struct archive_frames *frames) {
    struct archive_hints hints = {.nested = bytes_read_u8(reader)};
    hints.time = bytes_read_u8(reader);
    hints.subject = bytes_read_u8(reader);
    hints.previous_lsn = bytes_read_u8(reader);
    hints.previous_offset = bytes_read_u8(reader);
    hints.key = bytes_read_u8(reader);
    if (frames->count > frames->size / WAL_FRAME_SIZE_MIN ||
        !begin(tables, &hints, frames->first_lsn, frames->count) || !read_shapes(tables, reader) ||
        !read_columns(tables, reader) || !reserve_texts(tables, (size_t)frames->size))
        return false;
    size_t start = out->size;
    struct decoding block = {.columns = tables,
                             .out = out,
                             .seed = seed,
                             .previous = frames->previous,
                             .lsn = frames->first_lsn};
    for (uint64_t i = 0; i < frames->count; i++, block.lsn++) {
        uint64_t shape = take_number(column_at(tables, COLUMN_SHAPE));
        uint64_t durable = take_number(column_at(tables, COLUMN_DURABLE));
        struct bytes_view subject = {NULL, 0};
        if (shape >= tables->shape_count ||
            !read_payload(tables, &tables->shapes[shape], &block, &subject) ||
            !write_frame(&block, frames, start, subject, durable))
            return false;
    }
    return columns_ok(tables) && block.previous == frames->chain;
}

static bool read_head(struct bytes_reader *reader, uint8_t *kind, struct archive_frames *frames,
                      uint64_t *byte_count) {
    *kind = bytes_read_u8(reader);
    *frames = (struct archive_frames){.first_lsn = bytes_read_varint(reader)};
    frames->count = bytes_read_varint(reader);
    frames->offset = bytes_read_varint(reader);
    frames->size = bytes_read_varint(reader);
    *byte_count = bytes_read_varint(reader);
    frames->previous = bytes_read_u32(reader);
    frames->chain = bytes_read_u32(reader);
    return bytes_reader_ok(reader) && *byte_count <= ARCHIVE_BODY_MAX;
}

enum wf_status archive_block_decode(struct archive_tables *tables, struct bytes_view body,
                                    uint32_t seed, struct bytes_buffer *out,
                                    struct archive_frames *frames, struct wf_error *err) {
    struct bytes_reader reader = bytes_reader_make(body.data, body.size);
    size_t start = out->size;
    uint8_t kind;
    uint64_t byte_count;
    bool good = read_head(&reader, &kind, frames, &byte_count);
    if (good && kind == BODY_RAW) {
        good = bytes_reader_left(&reader) == byte_count && byte_count <= frames->size;
        if (good)
            bytes_write_run(out, reader.at, (size_t)byte_count);
    } else if (good && kind == BODY_COLUMNS && byte_count == frames->size) {
        good =
            decode_columns(tables, &reader, seed, out, frames) && out->size - start == byte_count;
    } else {
        good = false;
    }
    if (!bytes_buffer_ok(out))
        return error_set(err, WF_NO_MEMORY, "no memory to read an archive");
    if (!good)
        return error_set(err, WF_DAMAGE, "the block's columns do not give its records");
    frames->bytes = (struct bytes_view){out->data + start, out->size - start};
    return WF_OK;
}
