/* The tables that blocks of columns are made with, and the shapes of records. */
#include "store/archive_columns.h"

#include <stdlib.h>
#include <string.h>

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
    for (size_t i = 0; tables->columns != NULL && i < COLUMN_SHARED + tables->columns_used; i++) {
        free(columns_at(tables, i)->numbers); /* those behind were never touched */
        free(columns_at(tables, i)->texts);
    }
    bytes_buffer_deinit(&tables->packed);
    bytes_buffer_deinit(&tables->check);
    free(tables->columns);
    free(tables->shapes);
    free(tables->steps);
    free(tables->members);
    free(tables);
}

bool columns_grow_numbers(struct column *column, size_t count) {
    size_t capacity = column->number_capacity * 2 + 64;
    capacity = capacity < count ? count : capacity;
    uint64_t *numbers = realloc(column->numbers, capacity * sizeof *numbers);
    if (numbers == NULL)
        return false;
    column->numbers = numbers;
    column->number_capacity = capacity;
    return true;
}

bool columns_grow_texts(struct column *column) {
    size_t capacity = column->text_capacity * 2 + 64;
    struct bytes_view *texts = realloc(column->texts, capacity * sizeof *texts);
    if (texts == NULL)
        return false;
    column->texts = texts;
    column->text_capacity = capacity;
    return true;
}

static void clear_column(struct column *column) {
    column->constant = column->is_text = false;
    column->number_count = 0;
    column->text_count = 0;
    column->text_bytes = 0;
    column->form = FORM_PACKED;
    column->expected = 0;
    column->next = 0;
}

static void find_shared_tags(struct archive_tables *tables) {
    for (unsigned tag = 0; tag < sizeof tables->which; tag++)
        tables->which[tag] = (uint8_t)columns_which(&tables->hints, tag, false);
}

bool columns_begin(struct archive_tables *tables, const struct archive_hints *hints,
                   uint64_t first_lsn, uint64_t count) {
    tables->hints = *hints;
    find_shared_tags(tables);
    tables->shape_count = 0;
    tables->last_shape = 0;
    tables->step_count = 0;
    tables->column_count = 0;
    tables->member_count = 0;
    tables->first_lsn = first_lsn;
    tables->time_ms = 0;
    tables->first_ms = 0;
    tables->durable_lsn = first_lsn - 1;
    tables->loose_offset = 0;
    tables->key = (struct bytes_view){NULL, 0};
    tables->subject = (struct bytes_view){NULL, 0};
    tables->failed = false;
    for (size_t i = 0; i < COLUMN_SHARED; i++)
        clear_column(columns_at(tables, i));
    if (count <= tables->member_capacity)
        return true;
    free(tables->members);
    tables->members = malloc(count * sizeof *tables->members);
    tables->member_capacity = tables->members != NULL ? count : 0;
    return tables->members != NULL;
}

const struct member *columns_member(const struct archive_tables *tables, uint64_t lsn) {
    uint64_t index = lsn - tables->first_lsn;
    return lsn >= tables->first_lsn && index < tables->member_count ? &tables->members[index]
                                                                    : NULL;
}

/* --- which column a value goes to --- */

enum shared_column columns_which(const struct archive_hints *hints, uint32_t tag, bool nested) {
    uint32_t field = tag >> 3;
    if (nested || field > UINT8_MAX)
        return COLUMN_SHARED;
    if ((tag & 7) == WIRE_VARINT) {
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

bool columns_is_nested(const struct archive_hints *hints, uint32_t tag) {
    return hints->nested != 0 && tag == ((uint32_t)hints->nested << 3 | WIRE_BYTES);
}

/* --- shapes --- */

static bool add_step(struct archive_tables *tables, struct step step) {
    if (tables->step_count == tables->step_capacity) {
        size_t capacity = tables->step_capacity * 2 + 256;
        struct step *steps = realloc(tables->steps, capacity * sizeof *steps);
        if (steps == NULL)
            return false;
        tables->steps = steps;
        tables->step_capacity = capacity;
    }
    tables->steps[tables->step_count++] = step;
    return true;
}

/* A step that writes the tag. */
static struct step step_of(uint32_t tag) {
    struct step step = {.kind = STEP_VALUE, .is_text = (tag & 7) != WIRE_VARINT};
    for (; tag >= 0x80; tag >>= 7)
        step.tag[step.tag_size++] = (uint8_t)(tag | 0x80);
    step.tag[step.tag_size++] = (uint8_t)tag;
    return step;
}

/* What is known of a value by its tag. */
static void note_value(struct shape *shape, enum shared_column which, size_t index) {
    if (which == COLUMN_SUBJECT && shape->subject_at == VALUE_NONE)
        shape->subject_at = index;
    if (which == COLUMN_PREVIOUS_LSN && shape->link_at == VALUE_NONE)
        shape->link_at = index;
}

/* The steps of the tags at hand; `*own` of their values have no shared column. False: they are no
 * tags, or memory fails. */
static bool add_steps(struct archive_tables *tables, struct shape *shape, size_t *own) {
    struct bytes_reader tags = bytes_reader_make(tables->tags, tables->tags_size);
    bool nested = false;
    size_t values = 0;
    shape->subject_at = shape->link_at = VALUE_NONE;
    for (*own = 0;;) {
        uint64_t read = bytes_read_varint(&tags);
        uint32_t tag = (uint32_t)read;
        if (!bytes_reader_ok(&tags) || read > UINT32_MAX)
            return false;
        if (tag == TAG_NONE && !nested)
            return bytes_reader_done(&tags) && *own <= TOKENS_MAX;
        struct step step = step_of(tag);
        if (tag == TAG_NONE) {
            step.kind = STEP_CLOSE;
            nested = false;
        } else if (!nested && columns_is_nested(&tables->hints, tag)) {
            step.kind = STEP_OPEN;
            nested = true;
        } else {
            step.which = columns_which(&tables->hints, tag, nested);
            *own += step.which == COLUMN_SHARED;
            note_value(shape, step.which, values++);
        }
        if (!add_step(tables, step))
            return false;
    }
}

struct shape *columns_add_shape(struct archive_tables *tables) {
    size_t own = 0;
    size_t first_step = tables->step_count;
    if (tables->shape_count == SHAPES_MAX)
        return NULL;
    struct shape *shape = &tables->shapes[tables->shape_count];
    if (!add_steps(tables, shape, &own) || tables->column_count + own > COLUMNS_MAX - COLUMN_SHARED)
        return NULL;
    tables->hashes[tables->shape_count++] = crc32c(0, tables->tags, tables->tags_size);
    shape->size = tables->tags_size;
    memcpy(shape->tags, tables->tags, shape->size);
    shape->first_step = first_step;
    shape->step_count = tables->step_count - first_step;
    shape->first_column = tables->column_count;
    shape->expected = 0;
    shape->follower = (size_t)(shape - tables->shapes);
    for (size_t i = 0; i < own; i++)
        clear_column(&tables->columns[tables->column_count++]);
    if (tables->columns_used < tables->column_count)
        tables->columns_used = tables->column_count;
    return shape;
}

static bool has_tags(const struct archive_tables *tables, const struct shape *shape) {
    return shape->size == tables->tags_size && memcmp(shape->tags, tables->tags, shape->size) == 0;
}

struct shape *columns_shape(struct archive_tables *tables) {
    uint32_t hash = crc32c(0, tables->tags, tables->tags_size);
    for (size_t i = 0; i < tables->shape_count; i++) {
        if (tables->hashes[i] == hash && has_tags(tables, &tables->shapes[i]))
            return &tables->shapes[i];
    }
    return columns_add_shape(tables);
}
