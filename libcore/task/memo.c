#include "task/memo.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1 << 14 };

struct ego_memo {
    size_t budget, used;
    ego_memo_entry *newest, *oldest; /* by last use */
    ego_memo_entry *bucket[BUCKETS];
};

ego_err ego_memo_new(size_t budget_bytes, ego_memo **out) {
    ego_memo *memo = calloc(1, sizeof *memo);
    if (!memo) return ego_fail(EGO_ENOMEM, "out of memory");
    memo->budget = budget_bytes;
    *out = memo;
    return EGO_OK;
}

static void unlink_entry(ego_memo *memo, ego_memo_entry *e) {
    *(e->newer ? &e->newer->older : &memo->newest) = e->older;
    *(e->older ? &e->older->newer : &memo->oldest) = e->newer;
}

static void link_newest(ego_memo *memo, ego_memo_entry *e) {
    e->newer = NULL;
    e->older = memo->newest;
    *(memo->newest ? &memo->newest->newer : &memo->oldest) = e;
    memo->newest = e;
}

static void free_entry(ego_memo_entry *e) {
    free(e->name);
    free(e->embedding.data);
    free(e->state.data);
    free(e->message);
    free(e);
}

static void forget(ego_memo *memo, ego_memo_entry *e) {
    ego_memo_entry **at = &memo->bucket[ego_fnv1a(e->name) % BUCKETS];
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    unlink_entry(memo, e);
    memo->used -= e->bytes;
    free_entry(e);
}

void ego_memo_free(ego_memo *memo) {
    if (!memo) return;
    for (ego_memo_entry *e = memo->newest, *older; e; e = older) {
        older = e->older;
        free_entry(e);
    }
    free(memo);
}

ego_err ego_memo_get(ego_memo *memo, const char *name, ego_memo_entry **entry, bool *fresh) {
    ego_memo_entry **bucket = &memo->bucket[ego_fnv1a(name) % BUCKETS], *e = *bucket;
    while (e && strcmp(e->name, name) != 0) e = e->next;
    *fresh = !e;
    if (e) {
        unlink_entry(memo, e);
    } else {
        e = calloc(1, sizeof *e);
        if (!e || !(e->name = strdup(name))) return free(e), ego_fail(EGO_ENOMEM, "out of memory");
        e->next = *bucket;
        *bucket = e;
    }
    link_newest(memo, e);
    e->pins++;
    *entry = e;
    return EGO_OK;
}

ego_err ego_memo_keep(ego_memo *memo, ego_memo_entry *e, ego_tensor *which, const ego_tensor *x,
                      int64_t from, int64_t to) {
    int64_t columns = ego_tensor_columns(x);
    size_t bytes = (size_t)((to - from) * columns) * sizeof(float);
    void *data = malloc(bytes ? bytes : 1);
    if (!data) return ego_fail(EGO_ENOMEM, "out of memory for %zu bytes", bytes);
    memcpy(data, ego_f32(x) + from * columns, bytes);
    *which = (ego_tensor){.data = data, .dtype = EGO_F32, .ndim = 2, .shape = {to - from, columns}};
    e->bytes += bytes;
    memo->used += bytes;
    return EGO_OK;
}

void ego_memo_unpin(ego_memo *memo, ego_memo_entry *entry) {
    entry->pins--;
    for (ego_memo_entry *e = memo->oldest, *newer; e && memo->used > memo->budget; e = newer) {
        newer = e->newer;
        if (e->pins == 0) forget(memo, e);
    }
}
