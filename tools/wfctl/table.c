#include "tools/wfctl/table.h"

#include "tools/wfctl/format.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BATCH_ROWS = 256 };

/* Characters, not bytes: continuation bytes do not count; a control character shows as \n or \x1b.
 */
static size_t text_width(const char *text) {
    size_t width = 0;
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '\n' || byte == '\t')
            width += 2;
        else if (byte < 0x20 || byte == 0x7F)
            width += 4;
        else
            width += (byte & 0xC0) != 0x80;
    }
    return width;
}

static bool aligns_right(const char *header) {
    return header[0] == '>';
}

static const char *header_text(const char *header) {
    return header + aligns_right(header);
}

void table_begin(struct text_table *table, struct out *out, const char *const *headers) {
    *table = (struct text_table){.out = out, .headers = headers};
    bytes_buffer_init(&table->cells);
    for (; headers[table->columns]; table->columns++)
        table->widths[table->columns] = text_width(header_text(headers[table->columns]));
}

static void print_cell(struct text_table *table, size_t column, enum out_style style,
                       const char *text) {
    size_t width = text_width(text);
    int padding = width < table->widths[column] ? (int)(table->widths[column] - width) : 0;
    bool last = column + 1 == table->columns;
    if (aligns_right(table->headers[column]))
        out_printf(table->out, "%*s", padding, "");
    out_styled(table->out, style, text);
    if (!aligns_right(table->headers[column]) && !last)
        out_printf(table->out, "%*s", padding, "");
    out_printf(table->out, last ? "\n" : "  ");
}

static void print_batch(struct text_table *table) {
    assert(table->columns > 0);
    if (table->cell_count > 0 && !table->headed) {
        for (size_t i = 0; i < table->columns; i++)
            print_cell(table, i, STYLE_BOLD, header_text(table->headers[i]));
        table->headed = true;
    }
    const char *at = (const char *)table->cells.data;
    for (size_t i = 0; i < table->cell_count && !table->cells.failed; i++) {
        print_cell(table, i % table->columns, (enum out_style) * at, at + 1);
        at += strlen(at + 1) + 2;
    }
    if (table->cells.failed)
        table->out->bytes.failed = true;
    bytes_buffer_clear(&table->cells);
    table->cell_count = 0;
    out_flush_some(table->out);
}

void table_cell(struct text_table *table, enum out_style style, const char *text) {
    if (table->cell_count == BATCH_ROWS * table->columns)
        print_batch(table);
    size_t column = table->cell_count % table->columns;
    size_t width = text_width(text);
    if (width > table->widths[column])
        table->widths[column] = width;
    bytes_write_u8(&table->cells, (uint8_t)style);
    bytes_write_run(&table->cells, text, strlen(text) + 1);
    table->cell_count++;
}

void table_cell_uint(struct text_table *table, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    table_cell(table, STYLE_PLAIN, text);
}

void table_cell_time(struct text_table *table, int64_t time_ms) {
    char text[FORMAT_TIME_SIZE];
    table_cell(table, STYLE_PLAIN, format_time(text, time_ms));
}

void table_end(struct text_table *table) {
    print_batch(table);
    bytes_buffer_deinit(&table->cells);
}
