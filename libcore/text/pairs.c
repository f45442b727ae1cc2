#include "text/pairs.h"

#include "base/rng.h"

#include <stdlib.h>

enum { NONE = EGO__NOWHERE, FIRST_SLOTS = 1 << 12 };

struct ego__waiting {
    uint64_t count; /* at least the pair's */
    int32_t pair;
};

static ego_err no_memory(const ego__pairs *pairs) {
    return ego_fail(EGO_ENOMEM, "out of memory for %zu pairs of neighbours at %zu places",
                    pairs->count, pairs->n_places);
}

/* Room for one more item. */
static bool grow(void **items, size_t count, size_t *cap, size_t size) {
    if (count < *cap) return true;
    size_t more = *cap ? *cap + *cap / 2 : 1024, bytes;
    if (more > INT32_MAX || __builtin_mul_overflow(more, size, &bytes)) return false;
    void *moved = realloc(*items, bytes);
    if (!moved) return false;
    *items = moved;
    *cap = more;
    return true;
}

/* ---- the table ---- */

/* The slot of the pair, or the free one where it would stand. */
static size_t slot_of(const ego__pairs *pairs, int32_t left, int32_t right) {
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    size_t slot = (size_t)ego_rng_mix(key) & (pairs->n_slots - 1);
    for (; pairs->slots[slot] != NONE; slot = (slot + 1) & (pairs->n_slots - 1)) {
        const ego__pair *pair = &pairs->pairs[pairs->slots[slot]];
        if (pair->left == left && pair->right == right) break;
    }
    return slot;
}

static ego_err make_slots(ego__pairs *pairs, size_t n) {
    int32_t *slots = malloc(n * sizeof *slots);
    if (!slots) return no_memory(pairs);
    free(pairs->slots);
    pairs->slots = slots;
    pairs->n_slots = n;
    for (size_t i = 0; i < n; i++) slots[i] = NONE;
    for (size_t i = 0; i < pairs->count; i++)
        slots[slot_of(pairs, pairs->pairs[i].left, pairs->pairs[i].right)] = (int32_t)i;
    return EGO_OK;
}

static ego_err find_or_make(ego__pairs *pairs, int32_t left, int32_t right, ego__pair **pair) {
    if (2 * (pairs->count + 1) > pairs->n_slots) EGO_TRY(make_slots(pairs, 2 * pairs->n_slots));
    size_t slot = slot_of(pairs, left, right);
    if (pairs->slots[slot] == NONE) {
        void *items = pairs->pairs;
        if (!grow(&items, pairs->count, &pairs->cap, sizeof *pairs->pairs)) return no_memory(pairs);
        pairs->pairs = items;
        pairs->slots[slot] = (int32_t)pairs->count;
        pairs->pairs[pairs->count++] =
            (ego__pair){.left = left, .right = right, .first = NONE, .last = NONE};
    }
    *pair = &pairs->pairs[pairs->slots[slot]];
    return EGO_OK;
}

static ego_err new_place(ego__pairs *pairs, int32_t at, int32_t *index) {
    if (pairs->spare != NONE) {
        *index = pairs->spare;
        pairs->spare = pairs->places[*index].next;
    } else {
        void *items = pairs->places;
        if (!grow(&items, pairs->n_places, &pairs->places_cap, sizeof *pairs->places))
            return no_memory(pairs);
        pairs->places = items;
        *index = (int32_t)pairs->n_places++;
    }
    pairs->places[*index] = (ego__place){.at = at, .next = NONE};
    return EGO_OK;
}

ego_err ego__pairs_init(ego__pairs *pairs) {
    *pairs = (ego__pairs){.spare = NONE};
    return make_slots(pairs, FIRST_SLOTS);
}

void ego__pairs_release(ego__pairs *pairs) {
    free(pairs->places);
    free(pairs->pairs);
    free(pairs->slots);
    free(pairs->heap);
    *pairs = (ego__pairs){0};
}

ego_err ego__pairs_add(ego__pairs *pairs, int32_t left, int32_t right, uint64_t count, int32_t at) {
    ego__pair *pair;
    int32_t place;
    EGO_TRY(find_or_make(pairs, left, right, &pair));
    EGO_TRY(new_place(pairs, at, &place));
    if (pair->first == NONE)
        pair->first = place;
    else
        pairs->places[pair->last].next = place;
    pair->last = place;
    pair->count += count;
    return EGO_OK;
}

void ego__pairs_remove(ego__pairs *pairs, int32_t left, int32_t right, uint64_t count) {
    pairs->pairs[pairs->slots[slot_of(pairs, left, right)]].count -= count;
}

void ego__pairs_forget(ego__pairs *pairs, const ego__pair *taken) {
    if (taken->first == NONE) return;
    pairs->places[taken->last].next = pairs->spare;
    pairs->spare = taken->first;
}

/* ---- the heap ---- */

static bool is_before(const ego__pairs *pairs, const ego__waiting *a, const ego__waiting *b) {
    if (a->count != b->count) return a->count > b->count;
    const ego__pair *p = &pairs->pairs[a->pair], *q = &pairs->pairs[b->pair];
    return p->left != q->left ? p->left < q->left : p->right < q->right;
}

static void sift_up(ego__pairs *pairs, ego__waiting item) {
    size_t i = pairs->n_waiting++;
    for (; i && is_before(pairs, &item, &pairs->heap[(i - 1) / 2]); i = (i - 1) / 2)
        pairs->heap[i] = pairs->heap[(i - 1) / 2];
    pairs->heap[i] = item;
}

/* Puts the item in the place of the first. */
static void sift_down(ego__pairs *pairs, ego__waiting item) {
    size_t i = 0, n = pairs->n_waiting;
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_before(pairs, &pairs->heap[child + 1], &pairs->heap[child]))
            child++;
        if (!is_before(pairs, &pairs->heap[child], &item)) break;
        pairs->heap[i] = pairs->heap[child];
    }
    pairs->heap[i] = item;
}

static void drop_first(ego__pairs *pairs) {
    ego__waiting last = pairs->heap[--pairs->n_waiting];
    if (pairs->n_waiting) sift_down(pairs, last);
}

ego_err ego__pairs_settle(ego__pairs *pairs, uint64_t least) {
    for (; pairs->settled < pairs->count; pairs->settled++) {
        uint64_t count = pairs->pairs[pairs->settled].count;
        if (count < least) continue; /* it will not become more */
        void *items = pairs->heap;
        if (!grow(&items, pairs->n_waiting, &pairs->heap_cap, sizeof *pairs->heap))
            return no_memory(pairs);
        pairs->heap = items;
        sift_up(pairs, (ego__waiting){count, (int32_t)pairs->settled});
    }
    return EGO_OK;
}

bool ego__pairs_take(ego__pairs *pairs, uint64_t least, ego__pair *most) {
    while (pairs->n_waiting) {
        ego__waiting first = pairs->heap[0];
        const ego__pair *pair = &pairs->pairs[first.pair];
        if (pair->count == first.count) {
            *most = *pair;
            drop_first(pairs);
            return true;
        }
        if (pair->count < least)
            drop_first(pairs);
        else
            sift_down(pairs, (ego__waiting){pair->count, first.pair});
    }
    return false;
}
