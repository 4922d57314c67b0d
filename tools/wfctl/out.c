#include "tools/wfctl/out.h"

#include "engine/wf.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_BYTES = 64 * 1024, PROGRESS_EVERY_MS = 100, PROGRESS_WIDTH = 30 };

static bool colour_wanted(int fd) {
    const char *no_color = getenv("NO_COLOR"), *terminal = getenv("TERM");
    if (no_color && *no_color)
        return false;
    return isatty(fd) && !(terminal && strcmp(terminal, "dumb") == 0);
}

void out_init(struct out *out) {
    *out = (struct out){.mode = OUT_TEXT};
    out->colour = colour_wanted(STDOUT_FILENO);
    out->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    bytes_buffer_init(&out->bytes);
    out->json.to = &out->bytes;
}

void out_deinit(struct out *out) {
    bytes_buffer_deinit(&out->bytes);
}

bool out_is_json(const struct out *out) {
    return out->mode == OUT_JSON || out->mode == OUT_JSONL;
}

bool out_mode_parse(const char *word, enum out_mode *mode) {
    static const char *const names[] = {
        [OUT_TEXT] = "text", [OUT_JSON] = "json", [OUT_JSONL] = "jsonl", [OUT_CSV] = "csv"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(word, names[i]) == 0) {
            *mode = (enum out_mode)i;
            return true;
        }
    }
    return false;
}

bool out_flush(struct out *out) {
    const uint8_t *at = out->bytes.data;
    size_t left = out->bytes.size;
    while (left > 0 && out->write_errno == 0) {
        ssize_t put = write(STDOUT_FILENO, at, left);
        if (put > 0) {
            at += put;
            left -= (size_t)put;
        } else if (put == 0) {
            out->write_errno = EIO;
        } else if (errno != EINTR) {
            out->write_errno = errno;
        }
    }
    if (out->bytes.failed && out->write_errno == 0)
        out->write_errno = ENOMEM;
    bytes_buffer_clear(&out->bytes);
    return out->write_errno == 0;
}

bool out_flush_some(struct out *out) {
    if (out->mode == OUT_JSON || out->bytes.size < FLUSH_BYTES)
        return out->write_errno == 0;
    return out_flush(out);
}

void out_printf(struct out *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    /* One byte more for the terminator, which is taken back. */
    uint8_t *at = size < 0 ? NULL : bytes_buffer_extend(&out->bytes, (size_t)size + 1);
    if (at) {
        vsnprintf((char *)at, (size_t)size + 1, format, again);
        out->bytes.size--;
    }
    va_end(again);
}

void out_text(struct out *out, const char *text) {
    for (const char *at = text; *at; at++) {
        unsigned char byte = (unsigned char)*at;
        if (byte == '\n')
            bytes_write_run(&out->bytes, "\\n", 2);
        else if (byte == '\t')
            bytes_write_run(&out->bytes, "\\t", 2);
        else if (byte < 0x20 || byte == 0x7F)
            out_printf(out, "\\x%02x", byte);
        else
            bytes_write_u8(&out->bytes, byte);
    }
}

void out_styled(struct out *out, enum out_style style, const char *text) {
    static const char *const codes[] = {
        [STYLE_PLAIN] = "",  [STYLE_BOLD] = "1",  [STYLE_DIM] = "2",
        [STYLE_GOOD] = "32", [STYLE_BUSY] = "33", [STYLE_BAD] = "31",
    };
    bool paint = out->colour && style != STYLE_PLAIN;
    if (paint)
        out_printf(out, "\x1b[%sm", codes[style]);
    out_text(out, text);
    if (paint)
        out_printf(out, "\x1b[0m");
}

enum out_style out_status_style(const char *status) {
    static const struct {
        const char *status;
        enum out_style style;
    } styles[] = {
        {"completed", STYLE_GOOD},       {"running", STYLE_BUSY},    {"active", STYLE_BUSY},
        {"awaiting_review", STYLE_BUSY}, {"held", STYLE_BUSY},       {"rolling_back", STYLE_BUSY},
        {"failed", STYLE_BAD},           {"timed_out", STYLE_BAD},   {"cancelled", STYLE_DIM},
        {"blocked", STYLE_DIM},          {"rolled_back", STYLE_DIM},
    };
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++)
        if (strcmp(styles[i].status, status) == 0)
            return styles[i].style;
    return STYLE_PLAIN;
}

void out_csv_cell(struct out *out, const char *text, const char *separator) {
    out_printf(out, "%s", separator);
    if (!text)
        return;
    if (!strpbrk(text, "\",\r\n")) {
        out_printf(out, "%s", text);
        return;
    }
    bytes_write_u8(&out->bytes, '"');
    for (const char *at = text; *at; at++) {
        if (*at == '"')
            bytes_write_u8(&out->bytes, '"');
        bytes_write_u8(&out->bytes, (uint8_t)*at);
    }
    bytes_write_u8(&out->bytes, '"');
}

void out_object_open(struct out *out) {
    out->json.comma = false;
    emit_open(&out->json, '{');
    emit_member_bool(&out->json, "ok", true);
}

void out_object_close(struct out *out) {
    emit_close(&out->json, '}');
    bytes_write_u8(&out->bytes, '\n');
}

void out_list_open(struct out *out, const char *name) {
    if (out->mode != OUT_JSON)
        return;
    out_object_open(out);
    emit_key(&out->json, name);
    emit_open(&out->json, '[');
}

void out_item_open(struct out *out) {
    if (out->mode == OUT_JSONL)
        out->json.comma = false;
    emit_open(&out->json, '{');
}

bool out_item_close(struct out *out) {
    emit_close(&out->json, '}');
    if (out->mode == OUT_JSONL)
        bytes_write_u8(&out->bytes, '\n');
    return out_flush_some(out);
}

void out_list_end(struct out *out) {
    if (out->mode != OUT_JSON)
        return;
    emit_close(&out->json, ']');
    out_object_close(out);
}

void out_error_member(struct emit *json, enum wf_status status, const char *message) {
    emit_key(json, "error");
    emit_open(json, '{');
    emit_member(json, "code", wf_status_code(status));
    emit_member(json, "message", message);
    emit_close(json, '}');
}

void out_outcome_open(struct out *out, enum wf_status status, const char *message) {
    out->json.comma = false;
    emit_open(&out->json, '{');
    emit_member_bool(&out->json, "ok", status == WF_OK);
    if (status != WF_OK)
        out_error_member(&out->json, status, message);
}

void out_outcome_items(struct out *out, const char *name, const struct bytes_buffer *items) {
    if (out->mode != OUT_JSON)
        return;
    emit_key(&out->json, name);
    emit_open(&out->json, '[');
    bytes_write_run(&out->bytes, items->data, items->size);
    emit_close(&out->json, ']');
}

void out_error(struct out *out, enum wf_status status, const char *message) {
    if (!out_is_json(out)) {
        out_flush(out);
        fprintf(stderr, "wfctl: %s\n", message);
        return;
    }
    if (out->mode == OUT_JSON)
        bytes_buffer_clear(&out->bytes);
    out_outcome_open(out, status, message);
    out_object_close(out);
}

int out_exit_status(enum wf_status status) {
    switch (status) {
    case WF_OK:
        return 0;
    case WF_REFUSED:
    case WF_CONFLICT:
    case WF_TIMED_OUT:
        return 1;
    case WF_USAGE:
        return 2;
    case WF_NOT_FOUND:
        return 3;
    case WF_DAMAGE:
        return 4;
    case WF_DIVERGENCE:
        return 5;
    case WF_LOCKED:
        return 6;
    case WF_IO:
    case WF_NO_MEMORY:
    case WF_FULL:
    case WF_HALTED:
    case WF_UNKNOWN:
        return 7;
    }
    return 1;
}

static int64_t monotonic_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_update(void *ctx, uint64_t done, uint64_t total) {
    struct progress *progress = ctx;
    if (total == 0 || !isatty(STDERR_FILENO))
        return;
    int64_t now_ms = monotonic_ms();
    if (progress->last_ms == 0)
        progress->last_ms = now_ms; /* short work shows nothing */
    if (now_ms - progress->last_ms < PROGRESS_EVERY_MS)
        return;
    progress->last_ms = now_ms;
    progress->shown = true;
    unsigned filled = (unsigned)((double)done / (double)total * PROGRESS_WIDTH);
    char bar[PROGRESS_WIDTH + 1];
    for (unsigned i = 0; i < PROGRESS_WIDTH; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[PROGRESS_WIDTH] = '\0';
    fprintf(stderr, "\r%s [%s] %3.0f%%  %" PRIu64 " of %" PRIu64 "\x1b[K", progress->what, bar,
            (double)done / (double)total * 100, done, total);
}

void progress_clear(struct progress *progress) {
    if (progress->shown)
        fprintf(stderr, "\r\x1b[K");
}
