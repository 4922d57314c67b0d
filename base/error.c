#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Keep the promise of status.h: one line, however hostile the file names in it are. */
static void flatten(char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\n' || *text == '\r')
            *text = ' ';
    }
}

/* A text that was cut may end inside a UTF-8 sequence; drop the started character, so that the
 * answer in JSON stays valid. */
static void drop_cut_character(char *text, size_t size) {
    size_t at = size;
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80)
        at--;
    if (at == 0 || (unsigned char)text[at - 1] < 0xC0)
        return;
    unsigned char lead = (unsigned char)text[at - 1];
    size_t need = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (size - (at - 1) < need)
        text[at - 1] = '\0';
}

/* Format into `text` of WF_ERROR_TEXT_MAX + 1 bytes. */
static void format_text(char *text, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void format_text(char *text, const char *format, va_list args) {
    int length = vsnprintf(text, WF_ERROR_TEXT_MAX + 1, format, args);
    if (length < 0)
        text[0] = '\0'; /* only a broken format or locale: the status must do */
    else if (length > WF_ERROR_TEXT_MAX)
        drop_cut_character(text, WF_ERROR_TEXT_MAX);
    flatten(text);
}

enum wf_status error_set(struct wf_error *err, enum wf_status status, const char *format, ...) {
    if (err == NULL)
        return status;
    /* Formatted aside: an argument may be err->text itself. */
    char text[WF_ERROR_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    format_text(text, format, args);
    va_end(args);
    err->status = status;
    memcpy(err->text, text, strlen(text) + 1);
    return status;
}

enum wf_status error_wrap(struct wf_error *err, enum wf_status status, const char *format, ...) {
    if (err == NULL)
        return status;
    char context[WF_ERROR_TEXT_MAX + 1];
    va_list args;
    va_start(args, format);
    format_text(context, format, args);
    va_end(args);
    return error_set(err, status, "%s: %s", context, err->text);
}

const char *error_code(enum wf_status status) {
    switch (status) {
    case WF_OK:
        return "ok";
    case WF_REFUSED:
        return "refused";
    case WF_CONFLICT:
        return "conflict";
    case WF_USAGE:
        return "usage";
    case WF_NOT_FOUND:
        return "not_found";
    case WF_DAMAGE:
        return "damage";
    case WF_DIVERGENCE:
        return "divergence";
    case WF_LOCKED:
        return "locked";
    case WF_IO:
    case WF_NO_MEMORY:
        return "io";
    case WF_FULL:
        return "full";
    case WF_HALTED:
    case WF_UNKNOWN: /* the engine halted over it; the text says that the outcome is unknown */
        return "halted";
    case WF_TIMED_OUT:
        return "timed_out";
    }
    return "invalid_status";
}
