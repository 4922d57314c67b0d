/* The commands that a process dies over: those of a file, or loan applications. */
#include "base/error.h"
#include "tools/wfctl/crash.h"
#include "tools/wfctl/store.h"
#include "workflows/loan/loan_sample.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOANS = 120,
    LOANS_STAGGER = 3, /* commands of other loans between two of one loan, in loans */
    NOTE_BYTES = 160,  /* besides the sample's own data, so that the log rotates */
};

/* How far loan `number` comes: every fourth waits for ever. */
static unsigned commands_of(uint64_t number) {
    return number % 4 == 3 ? 1 + (unsigned)(number / 4 % (LOAN_COMMANDS - 1)) : LOAN_COMMANDS;
}

static void write_fields(struct emit *json, const struct wf_command *command) {
    char note[NOTE_BYTES + 1];
    memset(note, '.', NOTE_BYTES);
    note[NOTE_BYTES] = '\0';
    emit_key(json, "data");
    emit_open(json, '{');
    for (size_t i = 0; i < command->field_count; i++)
        emit_member(json, command->fields[i].name, command->fields[i].value);
    emit_member(json, "note", note);
    emit_close(json, '}');
}

static void write_loan(struct emit *json, uint64_t number, unsigned index) {
    struct loan_sample sample;
    const struct wf_command *command = loan_sample_command(&sample, "C", number, index);
    char key[48];
    snprintf(key, sizeof key, "crash-%" PRIu64 "-%u", number, index);
    json->comma = false;
    emit_open(json, '{');
    emit_member(json, "cmd", index == 0 ? "workflow.start" : "workflow.submit");
    emit_member_if(json, "type", command->type);
    emit_member(json, "id", command->id);
    emit_member_if(json, "step", command->step);
    write_fields(json, command);
    emit_member(json, "key", key);
    emit_close(json, '}');
    bytes_write_u8(json->to, '\n');
}

/* Each loan begins a little after the one before it, so that at any time many are under way. */
static void write_loans(struct bytes_buffer *text) {
    struct emit json = {.to = text};
    for (uint64_t turn = 0; turn < LOANS + LOANS_STAGGER * LOAN_COMMANDS; turn++)
        for (unsigned index = 0; index < LOAN_COMMANDS; index++) {
            uint64_t number = turn - (uint64_t)index * LOANS_STAGGER;
            if (number < LOANS && index < commands_of(number))
                write_loan(&json, number, index);
        }
    bytes_write_u8(text, '\0');
}

static enum wf_status make_text(struct cli *cli, const char *path, char **text) {
    if (path)
        return store_read_file(cli, path, text);
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    write_loans(&bytes);
    if (!bytes_buffer_ok(&bytes)) {
        bytes_buffer_deinit(&bytes);
        return error_set(&cli->err, WF_NO_MEMORY, "no memory for the load");
    }
    *text = (char *)bytes.data;
    return WF_OK;
}

enum wf_status crash_stream_load(struct cli *cli, const char *path, struct crash_stream *stream) {
    *stream = (struct crash_stream){0};
    enum wf_status status = make_text(cli, path, &stream->text);
    if (status != WF_OK)
        return status;
    size_t ends = 1;
    for (const char *at = stream->text; *at; at++)
        ends += *at == '\n';
    stream->lines = calloc(ends, sizeof *stream->lines);
    if (!stream->lines)
        return error_set(&cli->err, WF_NO_MEMORY, "no memory for %zu lines", ends);
    for (const char *at = stream->text; *at;) {
        size_t size = strcspn(at, "\n");
        if (size > 0)
            stream->lines[stream->count++] = (struct crash_line){.text = at, .size = size};
        at += size + (at[size] == '\n');
    }
    return stream->count > 0 ? WF_OK : cli_usage(cli, "%s holds no commands", path);
}

void crash_stream_free(struct crash_stream *stream) {
    free(stream->lines);
    free(stream->text);
    *stream = (struct crash_stream){0};
}

enum wf_status crash_stream_warm(struct wf_engine *engine, struct wf_error *err) {
    for (uint64_t number = 0; number < CRASH_WARM_LOANS; number++)
        for (unsigned index = 0; index <= number % (LOAN_COMMANDS - 1); index++) {
            struct loan_sample sample;
            enum wf_status status =
                wf_execute(engine, loan_sample_command(&sample, "W", number, index), NULL, err);
            if (status != WF_OK)
                return status;
        }
    return WF_OK;
}
