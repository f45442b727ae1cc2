/* Text into pieces, as GPT-2 and RoBERTa cut it before merging: each piece is what the pattern
 *
 *     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 *
 * takes at that place. \p{L} and \p{N} are Unicode 16.0's; \s is the White_Space property (U+0085,
 * U+00A0, U+2003 and U+3000 are in it, U+001C..1F are not). A byte that belongs to no valid UTF-8
 * character counts as one character that is neither letter, number nor white space. Inside libego
 * only.
 */
#ifndef EGO_TEXT_SPLIT_H
#define EGO_TEXT_SPLIT_H

#include <stddef.h>

/* How many bytes the piece at the start of text[0..n) has; n > 0, the result is in 1…n. */
size_t ego__split_next(const char *text, size_t n);

/* How many bytes of text[0..n) are left when the white space at its end is taken off. */
size_t ego__trim_right(const char *text, size_t n);

#endif
