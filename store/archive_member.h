/* One gzip member (RFC 1952) with its sizes in an extra field, so that members can be walked
 * without inflating them and nothing inflates to more than was announced. */
#ifndef STORE_ARCHIVE_MEMBER_H
#define STORE_ARCHIVE_MEMBER_H

#include "base/bytes.h"
#include "base/error.h"

enum { ARCHIVE_MEMBER_HEAD_SIZE = 24, ARCHIVE_MEMBER_SIZE_MIN = 32 };

struct archive_deflater; /* one thread at a time */
struct archive_inflater;

struct archive_deflater *archive_deflater_create(void); /* NULL: no memory. destroy takes NULL */
void archive_deflater_destroy(struct archive_deflater *deflater);
struct archive_inflater *archive_inflater_create(void);
void archive_inflater_destroy(struct archive_inflater *inflater);

/* Append `text` as one member. Its first `plain` bytes are stored: they are known to be random. */
enum wf_status archive_member_write(struct archive_deflater *deflater, struct bytes_view text,
                                    size_t plain, struct bytes_buffer *out, struct wf_error *err);
/* The sizes that the member's first ARCHIVE_MEMBER_HEAD_SIZE bytes announce. False: none of ours.
 */
bool archive_member_sizes(const uint8_t *head, uint32_t *member_size, uint32_t *text_size);
/* Append what the whole member holds. WF_DAMAGE: it is cut, changed, or holds more than
 * `text_max`. */
enum wf_status archive_member_read(struct archive_inflater *inflater, struct bytes_view member,
                                   size_t text_max, struct bytes_buffer *out, struct wf_error *err);

#endif
