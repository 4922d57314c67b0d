/* The inside of a block of columns: what taking records apart and putting them together share. Owns
 * the tables' memory. Only store/archive_block.c and archive_columns*.c include this; the layout is
 * in store/FORMAT.md. */
#ifndef STORE_ARCHIVE_COLUMNS_H
#define STORE_ARCHIVE_COLUMNS_H

#include "store/archive_block.h"

enum {
    SHAPES_MAX = 200,
    TOKENS_MAX = 400, /* values of one record */
    SHAPE_SIZE_MAX = 1200,
    COLUMNS_MAX = 6000,
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
    TAG_NONE = 0, /* ends a nested message, and a record */
    VALUE_NONE = 65535,
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

/* How the bytes of a column's texts are kept (two bits of its head). */
enum column_form {
    FORM_PACKED, /* behind its numbers */
    FORM_PLAIN,  /* in front of everything: deflate gains nothing on them */
};

/* Numbers (of a text: its size), and the bytes of texts. A column whose values are all the same has
 * just one. Subject and key have one or two numbers for each value, all others exactly one. */
struct column {
    bool constant, is_text;
    uint64_t *numbers;
    size_t number_count, number_capacity;
    /* writing */
    struct bytes_view *texts;
    size_t text_count, text_capacity, text_bytes;
    /* reading */
    enum column_form form;
    uint64_t expected; /* values, by the shapes of the records */
    size_t next, step; /* of `numbers`; a step of 0 gives the one value again and again */
    const uint8_t *text;
    struct bytes_view all_numbers, all_text;
    struct bytes_reader number_at, text_at; /* of subject and key */
};

/* What the next part of a record is: the tags of a shape, read once. */
enum step_kind { STEP_OPEN, STEP_CLOSE, STEP_VALUE };
struct step {
    enum step_kind kind;
    enum shared_column which; /* of a value; COLUMN_SHARED: it has a column of its own */
    bool is_text;
    uint8_t tag_size;
    uint8_t tag[5]; /* as it stands in the payload */
};

/* The tags of a record in order; those of a nested message end with TAG_NONE, and so does all. */
struct shape {
    size_t size;
    uint8_t tags[SHAPE_SIZE_MAX];
    size_t first_step, step_count; /* the same as steps */
    size_t first_column;           /* of its values that have a column of their own */
    size_t subject_at, link_at;    /* which of its values: the first; VALUE_NONE: it has none */
    size_t follower;               /* writing: the shape that came behind it lately */
    uint64_t expected;             /* reading: records of this shape */
};

struct token {
    uint64_t number;
    struct bytes_view text;
    enum shared_column which;
    bool is_text;
};

/* What one record of the block is remembered for: later ones lead back to it. */
struct member {
    uint64_t offset;
    struct bytes_view subject;
};

/* Either direction. */
struct archive_tables {
    struct archive_hints hints;
    uint8_t which[256]; /* enum shared_column of a top-level tag of one byte */
    struct shape *shapes;
    uint32_t hashes[SHAPES_MAX]; /* of the shapes' tags */
    size_t shape_count, last_shape;
    struct step *steps;
    size_t step_count, step_capacity;
    struct column *columns;
    size_t column_count, columns_used; /* of this block; of any */
    struct member *members;
    size_t member_count, member_capacity;
    uint64_t first_lsn;
    int64_t time_ms, first_ms;
    /* of the record before that had one */
    uint64_t durable_lsn, loose_offset;
    struct bytes_view key, subject;
    bool failed; /* memory */
    struct bytes_buffer packed, check;
    struct token tokens[TOKENS_MAX];
    size_t token_count;
    uint8_t tags[SHAPE_SIZE_MAX];
    size_t tags_size;
};

/* Empty tables for a block of `count` records. False: no memory. */
bool columns_begin(struct archive_tables *tables, const struct archive_hints *hints,
                   uint64_t first_lsn, uint64_t count);
/* The record of this block with that LSN; NULL: it is in another. */
const struct member *columns_member(const struct archive_tables *tables, uint64_t lsn);
/* The shared ones first, then those of the shapes. */
static inline struct column *columns_at(struct archive_tables *tables, size_t index) {
    return index < COLUMN_SHARED ? &tables->columns[COLUMNS_MAX - COLUMN_SHARED + index]
                                 : &tables->columns[index - COLUMN_SHARED];
}
/* Which column a value of this tag goes to. */
enum shared_column columns_which(const struct archive_hints *hints, uint32_t tag, bool nested);
bool columns_is_nested(const struct archive_hints *hints, uint32_t tag);
/* The shape of the tags at hand, made if it is new, with columns for its values. NULL: too many, or
 * they are no tags of a record. */
struct shape *columns_shape(struct archive_tables *tables);
/* The same, always a new one. */
struct shape *columns_add_shape(struct archive_tables *tables);

/* Room for one more number, for one more text. False: no memory. */
bool columns_grow_numbers(struct column *column, size_t count);
bool columns_grow_texts(struct column *column);

/* All frames into columns; their checksums have been checked. False: they do not go in. */
bool columns_take_apart(struct archive_tables *tables, const struct archive_frames *frames);
/* The bytes of the columns that are kept plain, appended to `plain`. */
void columns_write_plain(struct archive_tables *tables, struct bytes_buffer *plain);
/* All else, behind the body's head. */
void columns_write(struct archive_tables *tables, struct bytes_buffer *body);
/* The frames of a body behind its head, appended to `out`. `plain` are the bytes kept plain; of a
 * body of the first layout `first` is true. False: they do not come out. */
bool columns_read(struct archive_tables *tables, struct bytes_reader *reader, bool first,
                  struct bytes_view plain, uint32_t seed, struct bytes_buffer *out,
                  struct archive_frames *frames);

static inline uint64_t columns_zigzag(uint64_t difference) {
    return difference << 1 ^ (0 - (difference >> 63));
}

static inline uint64_t columns_unzigzag(uint64_t bits) {
    return bits >> 1 ^ (0 - (bits & 1));
}

#endif
