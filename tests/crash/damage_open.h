/* Opens a store that was damaged, and judges what comes of it: a right state that is not shorter
 * than it must be, or a refusal that names file and offset. */
#ifndef CRASH_DAMAGE_OPEN_H
#define CRASH_DAMAGE_OPEN_H

#include "tests/crash/damage_run.h"
#include "tests/crash/damage_subject.h"

struct damage_opening {
    const struct subject *subject;
    const char *dir;
    bool read_only;
    bool keep_snapshot;   /* state/ is there */
    bool closer;          /* also give it a command, or look for changed files */
    uint64_t least, most; /* the LSN that it may open at */
    bool may_refuse;
    const char *file; /* that a refusal names; NULL: any, and no offset either */
};

void damage_open(const struct damage_opening *opening, struct damage_verdict *verdict);

#endif
