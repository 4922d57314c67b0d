#include "tools/wfctl/emit.h"

#include "tools/wfctl/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void put(struct emit *json, const char *text, size_t size) {
    bytes_write_run(json->to, text, size);
}

static void separate(struct emit *json) {
    if (json->comma)
        bytes_write_u8(json->to, ',');
    json->comma = true;
}

void emit_open(struct emit *json, char bracket) {
    separate(json);
    bytes_write_u8(json->to, (uint8_t)bracket);
    json->comma = false;
}

void emit_close(struct emit *json, char bracket) {
    bytes_write_u8(json->to, (uint8_t)bracket);
    json->comma = true;
}

void emit_key(struct emit *json, const char *name) {
    size_t size = strlen(name);
    uint8_t *at = bytes_buffer_extend(json->to, size + 3 + json->comma);
    if (!at)
        return;
    if (json->comma)
        *at++ = ',';
    *at++ = '"';
    memcpy(at, name, size);
    at += size;
    *at++ = '"';
    *at = ':';
    json->comma = false;
}

void emit_list_open(struct emit *json, const char *name) {
    emit_open(json, '{');
    emit_key(json, name);
    emit_open(json, '[');
}

void emit_list_close(struct emit *json) {
    emit_close(json, ']');
    emit_close(json, '}');
}

/* Length of the UTF-8 sequence at `text`, 0 where it is none. */
static size_t sequence_size(const uint8_t *text, size_t size) {
    uint8_t lead = text[0];
    size_t need = lead < 0x80   ? 1
                  : lead < 0xC2 ? 0
                  : lead < 0xE0 ? 2
                  : lead < 0xF0 ? 3
                  : lead < 0xF5 ? 4
                                : 0;
    if (need == 0 || need > size)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    /* Overlong forms, surrogates and what lies beyond U+10FFFF. */
    if ((lead == 0xE0 && text[1] < 0xA0) || (lead == 0xED && text[1] > 0x9F) ||
        (lead == 0xF0 && text[1] < 0x90) || (lead == 0xF4 && text[1] > 0x8F))
        return 0;
    return need;
}

static bool is_plain(uint8_t byte) {
    return byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\';
}

/* Write the one character at `text` escaped where it must be; returns its size. */
static size_t put_character(struct emit *json, const uint8_t *text, size_t size) {
    static const char short_escapes[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *at = short_escapes; *at; at += 2) {
        if ((uint8_t)*at == text[0]) {
            put(json, (const char[]){'\\', at[1]}, 2);
            return 1;
        }
    }
    if (text[0] < 0x20 || text[0] == 0x7F) {
        char escape[8];
        snprintf(escape, sizeof escape, "\\u%04x", text[0]);
        put(json, escape, 6);
        return 1;
    }
    size_t need = sequence_size(text, size);
    if (need > 0) {
        put(json, (const char *)text, need);
        return need;
    }
    put(json, "\xEF\xBF\xBD", 3);
    return 1;
}

void emit_bytes(struct emit *json, const char *text, size_t size) {
    const uint8_t *bytes = (const uint8_t *)text;
    separate(json);
    bytes_write_u8(json->to, '"');
    for (size_t at = 0; at < size;) {
        size_t run = at;
        while (run < size && is_plain(bytes[run]))
            run++;
        if (run > at)
            put(json, text + at, run - at);
        at = run;
        if (at < size)
            at += put_character(json, bytes + at, size - at);
    }
    bytes_write_u8(json->to, '"');
}

void emit_string(struct emit *json, const char *text) {
    if (text)
        emit_bytes(json, text, strlen(text));
    else
        emit_null(json);
}

void emit_raw(struct emit *json, const char *text, size_t size) {
    separate(json);
    put(json, text, size);
}

void emit_uint(struct emit *json, uint64_t value) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    emit_raw(json, digits + at, sizeof digits - at);
}

void emit_bool(struct emit *json, bool value) {
    emit_raw(json, value ? "true" : "false", value ? 4 : 5);
}

void emit_null(struct emit *json) {
    emit_raw(json, "null", 4);
}

void emit_time(struct emit *json, int64_t time_ms) {
    char text[FORMAT_TIME_SIZE];
    emit_string(json, format_time(text, time_ms));
}

void emit_member(struct emit *json, const char *name, const char *text) {
    emit_key(json, name);
    emit_string(json, text);
}

void emit_member_if(struct emit *json, const char *name, const char *text) {
    if (text)
        emit_member(json, name, text);
}

void emit_member_uint(struct emit *json, const char *name, uint64_t value) {
    emit_key(json, name);
    emit_uint(json, value);
}

void emit_member_bool(struct emit *json, const char *name, bool value) {
    emit_key(json, name);
    emit_bool(json, value);
}

void emit_member_time(struct emit *json, const char *name, int64_t time_ms) {
    emit_key(json, name);
    emit_time(json, time_ms);
}
