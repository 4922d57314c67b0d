#include "engine/name_list.h"

#include <string.h>

bool name_list_has(const char *names, struct bytes_view name) {
    for (const char *at = names; *at != '\0';) {
        size_t size = strcspn(at, ",");
        if (size == name.size && memcmp(at, name.data, size) == 0) {
            return true;
        }
        at += size + (at[size] == ',' ? 1 : 0);
    }
    return false;
}

void name_list_add(char *names, size_t size, struct bytes_view name) {
    size_t used = strlen(names);
    if (name.size == 0 || name_list_has(names, name)) {
        return;
    }
    if (used + name.size + 8 > size) {
        if (used + 5 <= size && strstr(names, "…") == NULL) {
            memcpy(names + used, ",…", sizeof(",…"));
        }
        return;
    }
    if (used > 0) {
        names[used++] = ',';
    }
    memcpy(names + used, name.data, name.size);
    names[used + name.size] = '\0';
}
