/* An aligned table of text. Rows are collected, measured and printed in batches, so that a long
 * list streams. */
#ifndef WFCTL_TABLE_H
#define WFCTL_TABLE_H

#include "tools/wfctl/out.h"

enum { TABLE_COLUMNS_MAX = 10 };

struct text_table {
    struct out *out;
    const char *const *headers; /* NULL after the last; ">NAME" aligns to the right */
    size_t columns;
    size_t widths[TABLE_COLUMNS_MAX]; /* characters */
    struct bytes_buffer cells;        /* each a style byte, the text and a terminator */
    size_t cell_count;
    bool headed;
};

void table_begin(struct text_table *table, struct out *out, const char *const *headers);
/* The next cell, left to right, row by row. */
void table_cell(struct text_table *table, enum out_style style, const char *text);
void table_cell_uint(struct text_table *table, uint64_t value);
void table_cell_time(struct text_table *table, int64_t time_ms);
/* Print what is left and release the memory. No rows: no header either. */
void table_end(struct text_table *table);

#endif
