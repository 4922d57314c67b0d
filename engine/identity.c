#include "engine/identity.h"

#include "engine/damage.h"
#include "engine/engine.h"
#include "wal/segment.h"

#include <stdlib.h>
#include <string.h>

static enum wf_status refuse(struct io *io, const char *dir, const char *wal_dir,
                             struct wf_error *err) {
    char name[WAL_SEGMENT_NAME_SIZE];
    uint64_t first = 1;
    (void)damage_first_live_lsn(io, wal_dir, &first, NULL);
    wal_segment_name(name, first);
    return error_set(err, WF_DAMAGE,
                     "segment %s/%s is of another store than the snapshot in %s/%s: one of them "
                     "was put there. Take out what does not belong to this store, and put back "
                     "what was there before; nothing was changed",
                     wal_dir, name, dir, engine_snapshot_name);
}

enum wf_status identity_check_log(struct io *io, const char *dir,
                                  const struct wal_position *position, struct wf_error *err) {
    uint8_t wanted[WAL_STORE_ID_SIZE];
    uint8_t found[WAL_STORE_ID_SIZE];
    if (position->size == 0 || !wal_position_store(position, wanted)) {
        return WF_OK;
    }
    char *wal_dir = io_path_join(dir, engine_wal_name);
    if (wal_dir == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    enum wf_status status = WF_OK;
    if (wal_identify(io, wal_dir, found, NULL) == WF_OK &&
        memcmp(wanted, found, sizeof(found)) != 0) {
        status = refuse(io, dir, wal_dir, err);
    }
    free(wal_dir);
    return status;
}

enum wf_status identity_check(struct io *io, const struct snapshot_provider *provider,
                              const char *dir, struct wf_error *err) {
    struct snapshot *snapshot = NULL;
    struct snapshot_meta meta;
    struct wal_position position = {0};
    struct digest_sum sum;
    struct record_link last;
    char *path = io_path_join(dir, engine_snapshot_name);
    if (path == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a path");
    }
    if (provider->open(provider, io, path, false, true, &snapshot, NULL) == WF_OK) {
        if (!snapshot->ops->meta(snapshot, &meta) ||
            checkpoint_meta_decode(&meta, &position, &sum, &last, NULL) != WF_OK) {
            position.size = 0;
        }
        snapshot->ops->close(snapshot);
    }
    free(path);
    return identity_check_log(io, dir, &position, err);
}
