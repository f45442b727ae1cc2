/* The pairs of neighbours in a text whose symbols are being joined: how often each occurs, and where.
 * Inside libego only: learn.c asks for the most frequent one again and again.
 *
 * Symbols and places are numbers that mean something to the caller alone. Joining a pair makes a
 * symbol that was not there before, and what it changes are pairs of that new symbol, which become
 * more, and older ones, which only become fewer. So a pair is counted up between two calls of
 * settle and down ever after. The pairs wait in a heap, each under a count that is never too small;
 * one that comes up under more than is left of it goes back under what is left.
 */
#ifndef EGO_TEXT_PAIRS_H
#define EGO_TEXT_PAIRS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EGO__NOWHERE = -1 };

typedef struct ego__pair {
    int32_t left, right;
    int32_t first, last; /* its places, a list: see ego__place */
    uint64_t count;
} ego__pair;

/* Places of a pair come in the order in which they were added. One that the pair has left stays in
 * the list: the caller sees that by looking there. */
typedef struct ego__place {
    int32_t at;
    int32_t next; /* index of the next one, EGO__NOWHERE behind the last */
} ego__place;

typedef struct ego__waiting ego__waiting;

typedef struct ego__pairs {
    ego__place *places; /* of all pairs; may move when one is added */

    /* private */
    size_t n_places, places_cap;
    int32_t spare; /* a list of places given back */
    ego__pair *pairs;
    size_t count, cap, settled;
    int32_t *slots; /* hash table of the pairs */
    size_t n_slots;
    ego__waiting *heap;
    size_t n_waiting, heap_cap;
} ego__pairs;

ego_err ego__pairs_init(ego__pairs *pairs);
void ego__pairs_release(ego__pairs *pairs); /* safe on {0} */

/* left and right (each at least 0) now stand side by side at this place, `count` times. */
ego_err ego__pairs_add(ego__pairs *pairs, int32_t left, int32_t right, uint64_t count, int32_t at);
/* They did, and do no longer. */
void ego__pairs_remove(ego__pairs *pairs, int32_t left, int32_t right, uint64_t count);

/* The pairs first added since the last call are counted: those that occur at least `least` (1 or
 * more) times can be taken from now on. */
ego_err ego__pairs_settle(ego__pairs *pairs, uint64_t least);

/* Takes out the pair that occurs most often; of several the one whose left symbol is the smallest
 * number, then whose right one is. False when none occurs `least` times. Its places are the
 * caller's until ego__pairs_forget. */
bool ego__pairs_take(ego__pairs *pairs, uint64_t least, ego__pair *most);
void ego__pairs_forget(ego__pairs *pairs, const ego__pair *taken);

#endif
