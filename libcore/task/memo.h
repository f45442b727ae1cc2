/* Results worth remembering, by name, within a budget: what was used longest ago goes first.
 *
 * An entry holds two tensors (a clip's or narration's embedding and its half-way state). Entries that are
 * in use are pinned and stay; everything else may be forgotten when the budget is passed.
 */
#ifndef EGO_TASK_MEMO_H
#define EGO_TASK_MEMO_H

#include "tensor/tensor.h"

typedef struct ego_memo ego_memo;

typedef struct ego_memo_entry {
    char *name;
    ego_tensor embedding, state; /* elements on the heap, owned; data NULL: not computed */
    ego_err err;                 /* why it cannot be computed, with `message` */
    char *message;
    unsigned pins;

    /* private */
    struct ego_memo_entry *newer, *older, *next;
    size_t bytes;
} ego_memo_entry;

ego_err ego_memo_new(size_t budget_bytes, ego_memo **memo);
void ego_memo_free(ego_memo *memo); /* takes NULL */

/* The entry of that name, pinned once more; a new one is empty, and *fresh says so. */
ego_err ego_memo_get(ego_memo *memo, const char *name, ego_memo_entry **entry, bool *fresh);
/* Copies rows [from, to) of x (rows of its last dimension) into a tensor of the entry. */
ego_err ego_memo_keep(ego_memo *memo, ego_memo_entry *entry, ego_tensor *which, const ego_tensor *x,
                      int64_t from, int64_t to);
/* One pin less; forgets the oldest unpinned entries while the budget is passed. */
void ego_memo_unpin(ego_memo *memo, ego_memo_entry *entry);

#endif
