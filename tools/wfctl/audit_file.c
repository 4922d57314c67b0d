#include "tools/wfctl/audit_file.h"

#include "base/error.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- writing --- */

static void hashes_member(struct emit *json, const char *name, const char (*hashes)[WF_HASH_HEX],
                          size_t count) {
    emit_key(json, name);
    emit_open(json, '[');
    for (size_t i = 0; i < count; i++)
        emit_string(json, hashes[i]);
    emit_close(json, ']');
}

void root_file_members(struct emit *json, const struct wf_tree_head *head) {
    emit_member(json, "store", head->store);
    emit_member_uint(json, "size", head->size);
    emit_member(json, "root", head->root);
    emit_member_time(json, "time", head->time_ms);
    hashes_member(json, "peaks", head->peaks, head->peak_count);
}

static void payload_member(struct emit *json, const struct wf_proof *proof) {
    emit_key(json, "payload");
    if (!proof->payload) {
        emit_null(json);
        return;
    }
    bytes_write_u8(json->to, '"');
    for (size_t i = 0; i < proof->payload_size; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", proof->payload[i]);
        bytes_write_run(json->to, digits, 2);
    }
    bytes_write_u8(json->to, '"');
    json->comma = true;
}

void proof_file_members(struct emit *json, const struct wf_proof *proof) {
    emit_member(json, "proof", proof->lsn ? "inclusion" : "consistency");
    emit_member(json, "store", proof->store);
    if (proof->lsn) {
        emit_member_uint(json, "lsn", proof->lsn);
        payload_member(json, proof);
    } else {
        emit_member_uint(json, "old_size", proof->old_size);
        emit_member(json, "old_root", proof->old_root);
    }
    emit_member_uint(json, "size", proof->size);
    emit_member(json, "root", proof->root);
    hashes_member(json, "path", proof->path, proof->path_count);
}

/* --- reading --- */

/* One file under way; the first thing that is wrong is kept. */
struct reading {
    json_t *json;
    const char *wrong; /* the member that is missing or of the wrong kind */
};

static void note_wrong(struct reading *reading, const char *name) {
    if (!reading->wrong)
        reading->wrong = name;
}

static void take_text(struct reading *reading, const char *name, bool required, char *text,
                      size_t size) {
    const char *value = json_string_value(json_object_get(reading->json, name));
    text[0] = '\0';
    if (!value && !json_object_get(reading->json, name) && !required)
        return;
    if (!value || strlen(value) >= size)
        note_wrong(reading, name);
    else
        memcpy(text, value, strlen(value) + 1);
}

static uint64_t take_number(struct reading *reading, const char *name) {
    json_t *value = json_object_get(reading->json, name);
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        note_wrong(reading, name);
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

static size_t take_hashes(struct reading *reading, const char *name, bool required,
                          char (*hashes)[WF_HASH_HEX], size_t at_most) {
    json_t *list = json_object_get(reading->json, name);
    if (!list && !required)
        return 0;
    if (!json_is_array(list) || json_array_size(list) > at_most) {
        note_wrong(reading, name);
        return 0;
    }
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        const char *hash = json_string_value(json_array_get(list, i));
        if (!hash || strlen(hash) >= WF_HASH_HEX) {
            note_wrong(reading, name);
            return 0;
        }
        memcpy(hashes[i], hash, strlen(hash) + 1);
    }
    return count;
}

/* Proof files with a record of 16 MiB are twice that in hex: they are read whole. */
static enum wf_status load(struct cli *cli, const char *path, struct reading *reading) {
    json_error_t why;
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(&cli->err, errno == ENOENT ? WF_NOT_FOUND : WF_IO, "cannot read %s: %s",
                         path, strerror(errno));
    reading->json = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
    fclose(file);
    if (!json_is_object(reading->json)) {
        json_decref(reading->json);
        return error_set(&cli->err, WF_USAGE, "%s is no JSON object (line %d: %s)", path, why.line,
                         reading->json ? "another value" : why.text);
    }
    return WF_OK;
}

static enum wf_status finish(struct cli *cli, const char *path, const char *what,
                             struct reading *reading) {
    json_decref(reading->json);
    if (!reading->wrong)
        return WF_OK;
    return error_set(&cli->err, WF_USAGE, "%s is no %s: \"%s\" is missing or wrong", path, what,
                     reading->wrong);
}

enum wf_status root_file_read(struct cli *cli, const char *path, struct root_file *file) {
    struct reading reading = {0};
    *file = (struct root_file){0};
    enum wf_status status = load(cli, path, &reading);
    if (status != WF_OK)
        return status;
    struct wf_tree_head *head = &file->head;
    char time[FORMAT_TIME_SIZE];
    head->size = take_number(&reading, "size");
    take_text(&reading, "root", true, head->root, sizeof head->root);
    take_text(&reading, "store", false, head->store, sizeof head->store);
    take_text(&reading, "signature", false, file->signature, sizeof file->signature);
    take_text(&reading, "time", false, time, sizeof time);
    if (time[0] && !parse_time(time, &head->time_ms))
        note_wrong(&reading, "time");
    head->peak_count = take_hashes(&reading, "peaks", false, head->peaks, WF_PEAKS_MAX);
    return finish(cli, path, "root", &reading);
}

static int digit_of(char digit) {
    const char *digits = "0123456789abcdef";
    const char *at = digit ? strchr(digits, digit) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* Into memory that proof_file_deinit() frees. */
static enum wf_status take_payload(struct reading *reading, struct wf_proof *proof,
                                   struct wf_error *err) {
    json_t *value = json_object_get(reading->json, "payload");
    const char *hex = json_string_value(value);
    if (json_is_null(value))
        return WF_OK;
    size_t digits = hex ? strlen(hex) : 1;
    if (digits % 2 != 0 || digits == 0) {
        note_wrong(reading, "payload");
        return WF_OK;
    }
    uint8_t *bytes = malloc(digits / 2);
    if (!bytes)
        return error_set(err, WF_NO_MEMORY, "no memory for a record");
    proof->payload = bytes;
    proof->payload_size = digits / 2;
    for (size_t i = 0; i < digits / 2; i++) {
        int high = digit_of(hex[2 * i]), low = digit_of(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            note_wrong(reading, "payload");
        else
            bytes[i] = (uint8_t)(high << 4 | low);
    }
    return WF_OK;
}

enum wf_status proof_file_read(struct cli *cli, const char *path, struct wf_proof *proof) {
    struct reading reading = {0};
    *proof = (struct wf_proof){0};
    enum wf_status status = load(cli, path, &reading);
    if (status != WF_OK)
        return status;
    char kind[16];
    take_text(&reading, "proof", true, kind, sizeof kind);
    take_text(&reading, "store", false, proof->store, sizeof proof->store);
    proof->size = take_number(&reading, "size");
    take_text(&reading, "root", true, proof->root, sizeof proof->root);
    proof->path_count = take_hashes(&reading, "path", true, proof->path, WF_PROOF_PATH_MAX);
    if (strcmp(kind, "inclusion") == 0) {
        proof->lsn = take_number(&reading, "lsn");
        if (proof->lsn == 0)
            note_wrong(&reading, "lsn");
        status = take_payload(&reading, proof, &cli->err);
    } else if (strcmp(kind, "consistency") == 0) {
        proof->old_size = take_number(&reading, "old_size");
        take_text(&reading, "old_root", true, proof->old_root, sizeof proof->old_root);
    } else {
        note_wrong(&reading, "proof");
    }
    enum wf_status finished = finish(cli, path, "proof", &reading);
    status = status == WF_OK ? finished : status;
    if (status != WF_OK)
        proof_file_deinit(proof);
    return status;
}

void proof_file_deinit(struct wf_proof *proof) {
    free((void *)(uintptr_t)proof->payload);
    proof->payload = NULL;
}
