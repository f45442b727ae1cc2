/* A stream of queries that arrives in two pieces: the same vectors as from one, each with a record. */
#include "task/vectors.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

/* Feeds all that is left; returns how many vectors came. */
static size_t feed(ego_vectors *v, const uint8_t *data, size_t size, bool ended, size_t *used,
                   ego_err *err) {
    *err = ego_vectors_feed(v, data, size, ended, used);
    require(*used <= size);
    for (size_t i = 0; i < v->n; i++) {
        ego_record record;
        const ego_vector_header *h = &v->headers[i];
        require((const uint8_t *)h->text >= data &&
                (const uint8_t *)h->text + h->bytes <= data + size);
        require(!v->items[i].data || v->dim > 0);
        ego_vectors_record(v, i, &record);
        require(record.id != NULL);
        ego_record_release(&record);
    }
    return v->n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_vectors whole, pieces;
    size_t used, first = size / 2;
    ego_err err, piece_err;
    require(ego_vectors_open_feed("whole", NULL, true, &whole) == EGO_OK);
    require(ego_vectors_open_feed("pieces", NULL, true, &pieces) == EGO_OK);
    size_t n = feed(&whole, data, size, true, &used, &err);
    size_t m = feed(&pieces, data, first, false, &used, &piece_err);
    if (piece_err == EGO_OK && !pieces.damage)
        m += feed(&pieces, data + used, size - used, true, &used, &piece_err);
    require(err != EGO_OK || piece_err != EGO_OK || m == n);
    require(err != EGO_OK || piece_err != EGO_OK || !whole.damage == !pieces.damage);
    ego_vectors_close(&whole);
    ego_vectors_close(&pieces);
    return 0;
}
