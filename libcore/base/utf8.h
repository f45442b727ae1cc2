/* UTF-8, strictly (Unicode 15, table 3-7: no surrogates, no overlong forms, at most U+10FFFF). */
#ifndef EGO_BASE_UTF8_H
#define EGO_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the character at the start of text[0..n) into *c; returns its width in bytes (1 to 4), or 0
 * when the bytes there are no valid character (or n is 0), leaving *c alone. */
size_t ego_utf8_decode(const char *text, size_t n, uint32_t *c);

/* Writes c (a valid scalar value) to out[0..4); returns its width. */
size_t ego_utf8_encode(uint32_t c, char *out);

#endif
