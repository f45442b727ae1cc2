#include "text/colours.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const colours[] = {"black", "white", "red",    "green", "yellow", "blue",
                                      "brown", "orange", "pink", "purple", "grey",   "gray"};

static bool is_colour(const char *word, size_t n) {
    for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
        if (strlen(colours[i]) == n && memcmp(word, colours[i], n) == 0) return true;
    return false;
}

char *ego_colours_drop(const char *text) {
    char *copy = malloc(strlen(text) + 1), *to = copy;
    if (!copy) return NULL;
    while (*text) {
        size_t word = strcspn(text, " "), spaces = strspn(text + word, " ");
        if (!is_colour(text, word)) {
            memcpy(to, text, word + spaces);
            to += word + spaces;
        }
        text += word + spaces;
    }
    *to = '\0';
    return copy;
}
