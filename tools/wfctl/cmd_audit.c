/* The audit trail: what stands in it, and proofs that nobody changed it. */
#include "base/error.h"
#include "tools/wfctl/audit_file.h"
#include "tools/wfctl/format.h"
#include "tools/wfctl/store.h"
#include "tools/wfctl/view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- show --- */

static void csv_head(struct out *out) {
    out_printf(out, "lsn,time,command,subject,event,stage,step,actor,key,reason,data\r\n");
}

/* The fields of a record as one cell, "name=value name=value". */
static void csv_data(struct out *out, const struct wf_event *event) {
    struct bytes_buffer text;
    bytes_buffer_init(&text);
    for (size_t i = 0; i < event->data_count; i++) {
        const struct wf_field *field = &event->data[i];
        if (i > 0)
            bytes_write_u8(&text, ' ');
        bytes_write_run(&text, field->name, strlen(field->name));
        bytes_write_u8(&text, '=');
        bytes_write_run(&text, field->value, strlen(field->value));
    }
    bytes_write_u8(&text, '\0');
    out_csv_cell(out, bytes_buffer_ok(&text) ? (const char *)text.data : "", ",");
    bytes_buffer_deinit(&text);
}

static bool show_csv(struct out *out, const struct wf_event *event) {
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "%" PRIu64 ",%s", event->lsn, view_event_time(time, event));
    const char *const cells[] = {event->command, event->subject, event->event, event->stage,
                                 event->step,    event->actor,   event->key,   event->reason};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        out_csv_cell(out, cells[i], ",");
    csv_data(out, event);
    out_printf(out, "\r\n");
    return out_flush_some(out);
}

static bool show_event(void *ctx, const struct wf_event *event) {
    struct out *out = ctx;
    if (out->mode == OUT_CSV)
        return show_csv(out, event);
    if (out_is_json(out))
        return view_event_item(out, event);
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "%8" PRIu64 "  %-24s  ", event->lsn, view_event_time(time, event));
    out_styled(out, STYLE_BOLD, event->subject && *event->subject ? event->subject : "-");
    out_printf(out, "  ");
    view_event_text(out, event);
    if (event->actor) {
        out_printf(out, "  by ");
        out_text(out, event->actor);
    }
    out_printf(out, "\n");
    return out_flush_some(out);
}

enum wf_status cmd_audit_show(struct cli *cli) {
    struct wf_audit_filter filter = {
        .entity = cli_option(cli, "entity"),
        .actor = cli_option(cli, "actor"),
        .event = cli_option(cli, "event"),
    };
    enum wf_status status = cli_option_place(cli, "from", &filter.first_lsn, &filter.first_ms);
    if (status == WF_OK)
        status = cli_option_place(cli, "to", &filter.last_lsn, &filter.last_ms);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_READ, false);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (out->mode == OUT_CSV)
        csv_head(out);
    out_list_open(out, "events");
    status = wf_audit_show(cli->engine, &filter, show_event, out, &cli->err);
    out_list_end(out);
    return status;
}

/* --- root --- */

static enum wf_status sign(struct cli *cli, const char *key_path, const struct wf_tree_head *head,
                           char signature[WF_SIGNATURE_HEX], char public_key[WF_HASH_HEX]) {
    char *pem;
    enum wf_status status = store_read_file(cli, key_path, &pem);
    if (status != WF_OK)
        return status;
    status = wf_audit_sign(head, pem, signature, public_key, &cli->err);
    free(pem);
    return status;
}

/* --at: of how many records; 0 where it is not given. */
static enum wf_status option_at(struct cli *cli, uint64_t *size) {
    enum wf_status status = cli_option_uint(cli, "at", size);
    return status == WF_OK && cli_option(cli, "at") && *size == 0
               ? cli_usage(cli, "--at 0 is no LSN")
               : status;
}

enum wf_status cmd_audit_root(struct cli *cli) {
    uint64_t lsn = 0;
    struct wf_tree_head head;
    char signature[WF_SIGNATURE_HEX] = "", public_key[WF_HASH_HEX] = "";
    const char *key_path = cli_option(cli, "sign");
    enum wf_status status = option_at(cli, &lsn);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_READ, false);
    if (status == WF_OK)
        status = wf_audit_root(cli->engine, lsn, &head, &cli->err);
    if (status == WF_OK && key_path)
        status = sign(cli, key_path, &head, signature, public_key);
    if (status != WF_OK)
        return status;
    struct out *out = &cli->out;
    if (out_is_json(out)) {
        out_object_open(out);
        root_file_members(&out->json, &head);
        if (key_path) {
            emit_member(&out->json, "signature", signature);
            emit_member(&out->json, "public_key", public_key);
        }
        out_object_close(out);
        return WF_OK;
    }
    char time[FORMAT_TIME_SIZE];
    out_printf(out, "store      %s\nrecords    %" PRIu64 "\nroot       %s\ntime       %s\n",
               head.store, head.size, head.root, format_time(time, head.time_ms));
    if (key_path)
        out_printf(out, "signature  %s\npublic key %s\n", signature, public_key);
    return WF_OK;
}

/* --- prove --- */

static enum wf_status prove(struct cli *cli, struct wf_proof *proof) {
    const char *old_path = cli_option(cli, "consistency");
    uint64_t lsn = 0, size = 0;
    if (old_path) {
        struct root_file old;
        if (cli->argument_count > 0)
            return cli_usage(cli, "--consistency is about all records: it goes with no LSN");
        enum wf_status status = root_file_read(cli, old_path, &old);
        if (status == WF_OK)
            status = store_open(cli, ACCESS_READ, false);
        return status == WF_OK
                   ? wf_audit_prove_consistency(cli->engine, &old.head, proof, &cli->err)
                   : status;
    }
    if (cli->argument_count == 0)
        return cli_usage(cli, "what is to be proved? Give an LSN, or --consistency OLD-ROOT");
    if (!parse_uint(cli->arguments[0], &lsn) || lsn == 0)
        return cli_usage(cli, "'%s' is no LSN", cli->arguments[0]);
    enum wf_status status = option_at(cli, &size);
    if (status == WF_OK)
        status = store_open(cli, ACCESS_READ, false);
    return status == WF_OK ? wf_audit_prove(cli->engine, lsn, size, proof, &cli->err) : status;
}

/* A proof is a JSON file in every mode. */
enum wf_status cmd_audit_prove(struct cli *cli) {
    struct wf_proof proof = {0};
    enum wf_status status = prove(cli, &proof);
    if (status != WF_OK)
        return status;
    out_object_open(&cli->out);
    proof_file_members(&cli->out.json, &proof);
    out_object_close(&cli->out);
    wf_proof_deinit(&proof);
    return WF_OK;
}

/* --- check --- */

/* --root: a file that `audit root` wrote, or the root itself in hex. */
static enum wf_status take_root(struct cli *cli, struct root_file *root) {
    const char *text = cli_option(cli, "root");
    *root = (struct root_file){0};
    if (strlen(text) == WF_HASH_HEX - 1 && strspn(text, "0123456789abcdefABCDEF") == strlen(text)) {
        memcpy(root->head.root, text, WF_HASH_HEX);
        return WF_OK;
    }
    return root_file_read(cli, text, root);
}

static enum wf_status check_signature(struct cli *cli, const struct root_file *root) {
    const char *key_path = cli_option(cli, "public");
    char *pem;
    if (!key_path)
        return WF_OK;
    if (!root->signature[0])
        return error_set(&cli->err, WF_DAMAGE, "the root bears no signature");
    enum wf_status status = store_read_file(cli, key_path, &pem);
    if (status != WF_OK)
        return status;
    status = wf_audit_check_signature(&root->head, root->signature, pem, &cli->err);
    free(pem);
    return status;
}

static void tell_inclusion(struct out *out, const struct wf_proof *proof) {
    out_styled(out, STYLE_GOOD, "proved");
    out_printf(out, ": record %" PRIu64 " is one of the %" PRIu64 " that the root stands for\n",
               proof->lsn, proof->size);
    (void)wf_record_show(proof->lsn, proof->payload, proof->payload_size, show_event, out, NULL);
}

static void tell_consistency(struct out *out, const struct wf_proof *proof) {
    out_styled(out, STYLE_GOOD, "proved");
    out_printf(out,
               ": the first %" PRIu64 " of %" PRIu64
               " records are unchanged\nold root  %s\nnew root  %s\n",
               proof->old_size, proof->size, proof->old_root, proof->root);
}

static void tell_check(struct cli *cli, const struct wf_proof *proof) {
    struct out *out = &cli->out;
    if (!out_is_json(out)) {
        if (proof->lsn)
            tell_inclusion(out, proof);
        else
            tell_consistency(out, proof);
        return;
    }
    out_object_open(out);
    emit_member(&out->json, "proved", proof->lsn ? "inclusion" : "consistency");
    emit_member_uint(&out->json, "size", proof->size);
    emit_member(&out->json, "root", proof->root);
    if (!proof->lsn) {
        emit_member_uint(&out->json, "old_size", proof->old_size);
        emit_member(&out->json, "old_root", proof->old_root);
    } else {
        emit_member_uint(&out->json, "lsn", proof->lsn);
        emit_key(&out->json, "events");
        emit_open(&out->json, '[');
        out->mode = OUT_JSON; /* items of one object */
        (void)wf_record_show(proof->lsn, proof->payload, proof->payload_size, show_event, out,
                             NULL);
        emit_close(&out->json, ']');
    }
    out_object_close(out);
}

enum wf_status cmd_audit_check(struct cli *cli) {
    struct wf_proof proof;
    struct root_file root;
    enum wf_status status = take_root(cli, &root);
    if (status == WF_OK)
        status = check_signature(cli, &root);
    if (status == WF_OK)
        status = proof_file_read(cli, cli->arguments[0], &proof);
    if (status != WF_OK)
        return status;
    if (root.head.store[0] && proof.store[0] && strcmp(root.head.store, proof.store) != 0)
        status = error_set(&cli->err, WF_DAMAGE, "the proof is of store %s, the root of store %s",
                           proof.store, root.head.store);
    if (status == WF_OK)
        status = wf_audit_check(&proof, root.head.root, root.head.size, &cli->err);
    if (status == WF_OK)
        tell_check(cli, &proof);
    proof_file_deinit(&proof);
    return status;
}

/* --- verify --- */

static bool note_finding(void *ctx, const struct wf_finding *finding) {
    struct out *out = ctx;
    if (!out_is_json(out))
        view_finding_text(out, finding);
    return true;
}

static void tell_verify_json(struct cli *cli, enum wf_status status,
                             const struct wf_log_report *report, const struct wf_tree_head *head,
                             uint64_t first_bad) {
    struct out *out = &cli->out;
    out_outcome_open(out, status, cli->err.text);
    emit_member_uint(&out->json, "records", report->records);
    emit_member_uint(&out->json, "findings", report->findings);
    if (first_bad)
        emit_member_uint(&out->json, "first_bad_lsn", first_bad);
    if (head->size)
        root_file_members(&out->json, head);
    out_object_close(out);
    cli->reported = true;
}

enum wf_status cmd_audit_verify(struct cli *cli) {
    struct root_file old;
    const char *old_path = cli_option(cli, "against");
    enum wf_status status = old_path ? root_file_read(cli, old_path, &old) : WF_OK;
    if (status == WF_OK && cli_option(cli, "public") && !old_path)
        return cli_usage(cli, "--public is the key of the root that --against names");
    if (status == WF_OK && old_path)
        status = check_signature(cli, &old);
    if (status != WF_OK)
        return status;
    struct wf_log_report report;
    struct wf_tree_head head;
    uint64_t first_bad;
    status = wf_audit_verify(cli->dir, old_path ? &old.head : NULL, note_finding, &cli->out,
                             &report, &head, &first_bad, &cli->err);
    if (status != WF_OK && status != WF_DAMAGE)
        return status;
    struct out *out = &cli->out;
    if (out_is_json(out)) {
        tell_verify_json(cli, status, &report, &head, first_bad);
    } else if (status == WF_OK) {
        out_styled(out, STYLE_GOOD, "verified");
        out_printf(out, ": %" PRIu64 " records, root %s\n", report.records, head.root);
        if (old_path)
            out_printf(out, "the first %" PRIu64 " are those of %s\n", old.head.size, old_path);
    }
    return status;
}
