/* The status of a call and the error text that its caller owns: the part of base/ that a host sees.
 * Installed inside wf.h; everything else about errors is in base/error.h. */
#ifndef WF_STATUS_H
#define WF_STATUS_H

/* What a call came to. WF_OK is 0; the order is stable, new codes are appended. */
enum wf_status {
    WF_OK = 0,
    WF_REFUSED,   /* a rule says no; nothing changed */
    WF_CONFLICT,  /* the idempotency key was used before with another body; another transaction came
                     first */
    WF_USAGE,     /* the argument itself is wrong: malformed, too long, missing */
    WF_NOT_FOUND, /* no such store, workflow, definition, record, file */
    WF_DAMAGE,    /* the store's bytes are not what was written; text: file, offset, LSN */
    WF_DIVERGENCE, /* replay comes to another state than the one that was kept */
    WF_LOCKED,     /* another process, or another engine in this one, owns the store */
    WF_IO,         /* the system failed a call; nothing was acknowledged */
    WF_FULL,       /* no space; nothing was written; works again when space returns */
    WF_HALTED,     /* a sync failed earlier: the engine only reads until it is reopened */
    WF_UNKNOWN,    /* the outcome of this command is unknown: the sync that covers it failed */
    WF_NO_MEMORY,  /* an allocation failed; no change of state */
    WF_TIMED_OUT,  /* waiting, or a transaction, took longer than it may; nothing changed */
};

enum { WF_ERROR_TEXT_MAX = 1000 };

/* An error in words, owned by the caller. Every function that takes one accepts NULL. The text is
 * one line, without a final newline, and reads from the outside in: "open ./wf-data: segment
 * 00000000000000000001.seg, offset 4096: …". Undefined until a call returns another status than
 * WF_OK. */
struct wf_error {
    enum wf_status status;
    char text[WF_ERROR_TEXT_MAX + 1];
};

#endif
