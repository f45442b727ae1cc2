/* Words for colours: the eleven basic terms of English (Berlin and Kay 1969), grey in both spellings. */
#ifndef EGO_TEXT_COLOURS_H
#define EGO_TEXT_COLOURS_H

/* A copy of the text without its words for colours and the space behind each; lower-case words that stand between
 * spaces or the text's ends. The caller frees it. NULL: out of memory. */
char *ego_colours_drop(const char *text);

#endif
