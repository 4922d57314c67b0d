/* A few names as one text, separated by commas, in a buffer of fixed size: for findings and reports
 * that a person reads. */
#ifndef ENGINE_NAME_LIST_H
#define ENGINE_NAME_LIST_H

#include "base/bytes.h"

#include <stdbool.h>

bool name_list_has(const char *names, struct bytes_view name);
/* Add a name once to the list in a buffer of `size` bytes, "" at first. Where there is no more room
 * the list ends in "…". */
void name_list_add(char *names, size_t size, struct bytes_view name);

#endif
