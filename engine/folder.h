/* What lies in a store's folder, by its names: is it a store, and may one be made there? */
#ifndef ENGINE_FOLDER_H
#define ENGINE_FOLDER_H

#include "base/io.h"

enum { FOLDER_NAME_SIZE = 256 };

struct folder {
    enum io_kind kind;
    bool has_log;                   /* wal/ with a segment in it */
    bool has_archive;               /* archive/ with anything in it */
    char remains[FOLDER_NAME_SIZE]; /* what only a store leaves, below the folder; empty: nothing */
    char foreign[FOLDER_NAME_SIZE]; /* a name that no store has; empty: there is none */
};

/* Look at the folder `dir`, which may be missing. Changes nothing. WF_REFUSED: it is no folder. */
enum wf_status folder_look(struct io *io, const char *dir, struct folder *folder,
                           struct wf_error *err);
/* Of a folder that was looked at: `*make` where there is no store and `create` may make one. A
 * store that lost its log is never taken for an empty folder: WF_DAMAGE. WF_NOT_FOUND, or
 * WF_REFUSED with `create`: it is a folder of something else. */
enum wf_status folder_judge(const struct folder *folder, const char *dir, bool create, bool *make,
                            struct wf_error *err);
/* For a log in which nothing is: WF_DAMAGE where archives lie beside it, for then it held something
 * once. (A snapshot may lie there: an empty one is made before the first record.) */
enum wf_status folder_refuse_archive(const struct folder *folder, const char *dir,
                                     struct wf_error *err);

/* The folder that `path` lies in, heap-allocated; NULL where memory fails. */
char *folder_parent(const char *path);

#endif
