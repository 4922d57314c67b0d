/* Writes JSON into a growing buffer, without a tree: what wfctl prints goes through here. Owns
 * nothing; the buffer latches a failed allocation. */
#ifndef WFCTL_EMIT_H
#define WFCTL_EMIT_H

#include "base/bytes.h"

/* Start with {.to = buffer}. */
struct emit {
    struct bytes_buffer *to;
    bool comma; /* the next member or element needs one before it */
};

void emit_open(struct emit *json, char bracket);  /* '{' or '[' */
void emit_close(struct emit *json, char bracket); /* '}' or ']' */
/* `name` is one of ours: it is written as it stands. */
void emit_key(struct emit *json, const char *name);

/* `{"NAME":[` … `]}`. */
void emit_list_open(struct emit *json, const char *name);
void emit_list_close(struct emit *json);

/* Values. What is no valid UTF-8 comes out as U+FFFD; NULL is null. */
void emit_string(struct emit *json, const char *text);
void emit_bytes(struct emit *json, const char *text, size_t size);
void emit_raw(struct emit *json, const char *text, size_t size); /* is JSON already */
void emit_uint(struct emit *json, uint64_t value);
void emit_bool(struct emit *json, bool value);
void emit_null(struct emit *json);
void emit_time(struct emit *json, int64_t time_ms); /* RFC 3339, UTC */

/* Members: a key and its value. */
void emit_member(struct emit *json, const char *name, const char *text);
void emit_member_if(struct emit *json, const char *name, const char *text); /* not where NULL */
void emit_member_uint(struct emit *json, const char *name, uint64_t value);
void emit_member_bool(struct emit *json, const char *name, bool value);
void emit_member_time(struct emit *json, const char *name, int64_t time_ms);

#endif
