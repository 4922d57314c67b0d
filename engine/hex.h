/* Bytes as lower-case hexadecimal text and back. */
#ifndef ENGINE_HEX_H
#define ENGINE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * size digits and the terminator. */
void hex_encode(const uint8_t *bytes, size_t size, char *hex);
/* Exactly 2 * size digits and the terminator. False: something else. */
bool hex_decode(const char *hex, uint8_t *bytes, size_t size);

#endif
