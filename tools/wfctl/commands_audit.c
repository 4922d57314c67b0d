/* What happened and what was put away: the audit trail, archives. */
#include "tools/wfctl/commands.h"

static const struct option_spec entity_option = {
    "entity", 'e', "ID", "only what is about this workflow, definition, …", false};
static const struct option_spec by_actor_option = {"actor", 'a', "ACTOR",
                                                   "only what ACTOR asked for", false};
static const struct option_spec event_option = {
    "event", 0, "EVENT", "only events of this kind (stage_activated, command_refused, …)", false};
static const struct option_spec audit_from_option = {"from", 0, "LSN|TIME",
                                                     "the first record, or its time", false};
static const struct option_spec audit_to_option = {"to", 0, "LSN|TIME",
                                                   "the last record, or its time", false};
static const struct option_spec against_option = {
    "against", 0, "ROOT-FILE", "a root that was kept: is the trail still the one it stands for?",
    false};
static const struct option_spec public_option = {
    "public", 0, "KEY", "the root must be signed by the owner of this public key (Ed25519, PEM)",
    false};
static const struct option_spec sign_option = {
    "sign", 0, "KEY", "sign the root with this private key (Ed25519, PEM)", false};
static const struct option_spec at_option = {"at", 0, "LSN",
                                             "as of this record (default: the newest)", false};
static const struct option_spec consistency_option = {
    "consistency", 0, "ROOT-FILE", "prove that the log begins as it was when that root was made",
    false};
static const struct option_spec root_option = {
    "root", 0, "ROOT", "the root that you trust: a file that audit root wrote, or its hex", true};
static const struct option_spec keep_segments_option = {
    "keep-segments", 0, "N", "archive what is beyond the N newest segments", false};
static const struct option_spec older_than_option = {
    "older-than", 0, "DURATION", "archive segments whose newest record is older", false};
static const struct option_spec max_bytes_option = {
    "max-bytes", 0, "N", "archive the oldest until no more bytes of log are left", false};
static const struct option_spec drop_plan_option = {
    "dry-run", 0, NULL, "say what would go and what that costs, and write nothing", false};
static const struct option_spec before_option = {"before", 0, "LSN|TIME",
                                                 "drop the archives that end before this", true};
static const struct option_spec seal_option = {
    "seal", 0, NULL, "seal the open segment first, so that it can go too", false};
static const struct option_spec threads_option = {
    "threads", 0, "N", "how many compress (default: one for each processor)", false};

const struct verb commands_audit[] = {
    {.noun = "audit",
     .name = "show",
     .arguments = "",
     .csv = true,
     .run = cmd_audit_show,
     .summary = "every event, or those that all filters let through",
     .details = "-o csv is possible here. A TIME is RFC 3339, such as 2026-01-01T00:00:00Z.",
     .options = {&entity_option, &by_actor_option, &event_option, &audit_from_option,
                 &audit_to_option}},
    {.noun = "audit",
     .name = "verify",
     .arguments = "",
     .run = cmd_audit_verify,
     .summary = "check every byte of the trail; the first bad record is named",
     .details =
         "Reads only; works beside a live owner and on a store that does not open. Exit "
         "status 4 where\nanything was changed. What was rewritten with new checksums, or cut "
         "off at the end, only a root\nthat was kept elsewhere can show: --against.",
     .options = {&against_option, &public_option}},
    {.noun = "audit",
     .name = "root",
     .arguments = "",
     .run = cmd_audit_root,
     .summary = "the Merkle root of all records: keep it elsewhere",
     .details =
         "With -o json the output is the file that --against, --consistency and --root take.",
     .options = {&at_option, &sign_option}},
    {.noun = "audit",
     .name = "prove",
     .arguments = "[LSN]",
     .at_most = 1,
     .run = cmd_audit_prove,
     .summary = "a proof, as JSON: of one record, or that the past was not rewritten",
     .options = {&at_option, &consistency_option}},
    {.noun = "audit",
     .name = "check",
     .arguments = "PROOF-FILE",
     .required = 1,
     .at_most = 1,
     .run = cmd_audit_check,
     .summary = "does the proof hold against a root? Needs no store",
     .details = "Exit status 4 where it does not.",
     .options = {&root_option, &public_option}},

    {.noun = "archive",
     .name = "run",
     .arguments = "",
     .access = ACCESS_WRITE,
     .run = cmd_archive_run,
     .summary = "compress old segments; everything that reads them goes on as before",
     .details = "Writes a snapshot first: only sealed segments behind one are archived, and the "
                "newest stays.\n"
                "With several limits a segment goes that is beyond any of them; without one, all "
                "go that can.\n"
                "A crash at any instant leaves the segment or its verified archive; run it again.",
     .options = {&keep_segments_option, &older_than_option, &max_bytes_option, &seal_option,
                 &threads_option}},
    {.noun = "archive",
     .name = "list",
     .arguments = "",
     .access = ACCESS_READ,
     .run = cmd_archive_list,
     .summary = "the archives, with LSNs, times and sizes"},
    {.noun = "archive",
     .name = "verify",
     .arguments = "",
     .run = cmd_archive_verify,
     .summary = "decompress and check every archive",
     .details = "Exit status 4 on damage; wal verify and audit verify check the archives too."},
    {.noun = "archive",
     .name = "drop",
     .arguments = "",
     .run = cmd_archive_drop,
     .summary = "drop the oldest archives for good; the rest stays provable",
     .details =
         "A record says which, by whom and why, and is durable before anything goes.\n"
         "What is gone is known to be gone: history, replay and audit show say so. Roots and "
         "proofs of what remains hold as before; a root that was kept must be of at least as "
         "many records as were dropped.\n"
         "replay --verify begins with the state that stands for the dropped records, and "
         "checks that it is the one that the record names.\n"
         "A key that was used in a dropped record stays used: a command under it is refused, for "
         "its\n"
         "first answer cannot be told.\n"
         "An LSN beyond the end of the log, or a time that is not yet, is refused.",
     .options = {&before_option, &reason_option, &asker_option, &drop_plan_option, &key_option}},
    {.noun = NULL},
};
