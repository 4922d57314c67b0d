/* What wfctl prints, in its three modes: text for people, one JSON object, or one JSON object a
 * line. Collects in a buffer and notices when stdout cannot take it. Exit statuses are decided
 * here. */
#ifndef WFCTL_OUT_H
#define WFCTL_OUT_H

#include "base/status.h"
#include "tools/wfctl/emit.h"

enum out_mode { OUT_TEXT, OUT_JSON, OUT_JSONL, OUT_CSV /* of lists that say so */ };

enum out_style {
    STYLE_PLAIN,
    STYLE_BOLD,
    STYLE_DIM,
    STYLE_GOOD, /* done, well */
    STYLE_BUSY, /* under way, waiting */
    STYLE_BAD,  /* failed, damaged */
};

struct out {
    enum out_mode mode;
    bool colour;  /* stdout is a terminal and NO_COLOR is not set */
    bool unicode; /* the locale's characters are UTF-8 */
    struct bytes_buffer bytes;
    struct emit json; /* writes to `bytes` */
    int write_errno;  /* of the first write that failed; 0: none */
};

void out_init(struct out *out);
void out_deinit(struct out *out);
bool out_is_json(const struct out *out); /* JSON or JSONL */
bool out_mode_parse(const char *word, enum out_mode *mode);

/* Hand what is collected to stdout. False where that failed, now or before. */
bool out_flush(struct out *out);
/* Flush once much is collected. One JSON object is kept whole to its end, so that an
 * error can still take its place. False: stop, nobody can read it. */
bool out_flush_some(struct out *out);

/* --- text --- */

void out_printf(struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Text from elsewhere: control characters come out visibly, so that no value can drive the
 * terminal. */
void out_text(struct out *out, const char *text);
void out_styled(struct out *out, enum out_style style, const char *text);
enum out_style out_status_style(const char *status); /* of a workflow or stage */

/* --- CSV --- */

/* A cell (RFC 4180), quoted where it must be; NULL: empty. `separator` goes before it. */
void out_csv_cell(struct out *out, const char *text, const char *separator);

/* --- JSON --- */

/* `{"ok":true` … `}` and the end of the line. */
void out_object_open(struct out *out);
void out_object_close(struct out *out);

/* A list: in JSON an object with "ok" and an array, in JSONL each item a line. In text mode
 * nothing. */
void out_list_open(struct out *out, const char *name);
void out_item_open(struct out *out);
bool out_item_close(struct out *out); /* false: stop, nobody can read it */
void out_list_end(struct out *out);

/* --- errors --- */

/* The member "error" of a JSON answer. */
void out_error_member(struct emit *json, enum wf_status status, const char *message);
/* An object that begins with what came of it all, and so is made at the end: `"ok":true`, or false
 * and the error. Closed with out_object_close(). */
void out_outcome_open(struct out *out, enum wf_status status, const char *message);
/* Its list of what was written before, into a buffer. In jsonl that went out line by line already.
 */
void out_outcome_items(struct out *out, const char *name, const struct bytes_buffer *items);
/* Say what failed: in JSON modes an object on stdout (in place of an unfinished one), else a line
 * on stderr. */
void out_error(struct out *out, enum wf_status status, const char *message);
/* Exit status for a result: 0 done, 1 refused or failed, 2 usage, 3 not found, 4 damage, 5
 * divergence, 6 locked, 7 disk full, I/O or halted. */
int out_exit_status(enum wf_status status);

/* --- progress, on stderr, where that is a terminal --- */

struct progress {
    const char *what;
    bool shown;
    int64_t last_ms; /* when it was drawn last */
};
void progress_update(void *progress, uint64_t done, uint64_t total);
void progress_clear(struct progress *progress);

#endif
