/* Tree heads and proofs as small JSON files: written, and read back from whoever kept them. */
#ifndef WFCTL_AUDIT_FILE_H
#define WFCTL_AUDIT_FILE_H

#include "tools/wfctl/cli.h"

/* A head as it was kept, with its signature ("": none). */
struct root_file {
    struct wf_tree_head head;
    char signature[WF_SIGNATURE_HEX];
};

/* Read what `audit root -o json` printed. A failure leaves its words in cli->err. */
enum wf_status root_file_read(struct cli *cli, const char *path, struct root_file *file);
/* The members of a head. */
void root_file_members(struct emit *json, const struct wf_tree_head *head);

/* Read what `audit prove` printed. proof_file_deinit() it. */
enum wf_status proof_file_read(struct cli *cli, const char *path, struct wf_proof *proof);
void proof_file_deinit(struct wf_proof *proof);
void proof_file_members(struct emit *json, const struct wf_proof *proof);

#endif
