#include "model/compare.h"

#include "model/identity.h"
#include "tensor/panel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 4096 };

static size_t block_to_f32(const ego_tensor *t, int64_t from, int64_t count, float out[BLOCK]) {
    size_t n = (size_t)(count - from < BLOCK ? count - from : BLOCK);
    ego_to_f32((const char *)t->data + (size_t)from * ego_dtype_bytes(t->dtype), t->dtype, out, n);
    return n;
}

static void measure(ego_difference *d) {
    double difference = 0, norm = 0;
    float a[BLOCK], b[BLOCK];
    int64_t count = ego_tensor_count(d->a);
    for (int64_t i = 0; i < count; i += BLOCK) {
        size_t n = block_to_f32(d->a, i, count, a);
        block_to_f32(d->b, i, count, b);
        for (size_t k = 0; k < n; k++) {
            double gap = fabs((double)a[k] - b[k]);
            difference += gap * gap;
            norm += (double)a[k] * a[k];
            if (!(gap <= d->largest)) d->largest = gap; /* NaN stays */
        }
    }
    d->relative = norm > 0 ? sqrt(difference / norm) : sqrt(difference);
}

/* A weight that its file keeps in panels, laid out as the other side has it: *plain, of which data is the
 * caller's to free, takes the place of *panels. Anything else is left alone. */
static ego_err unpack_like(const ego_weights *weights, const ego_tensor **panels,
                           const ego_tensor *other, ego_tensor *plain) {
    const ego_tensor *t = *panels;
    int64_t outputs = other->ndim > 1 ? other->shape[0] : 0;
    if (outputs < 1 || !ego_weights_panelled(weights) || t->dtype != EGO_F32 || t->ndim != 3)
        return EGO_OK;
    int64_t inputs = ego_tensor_count(other) / outputs;
    if (t->shape[0] != ego_panel_count(outputs) || t->shape[1] != inputs || t->shape[2] != EGO_PANEL)
        return EGO_OK;
    *plain = *other;
    plain->dtype = EGO_F32;
    plain->data = malloc((size_t)(outputs * inputs + 1) * sizeof(float));
    if (!plain->data) return ego_fail(EGO_ENOMEM, "out of memory");
    ego_panel_unpack(t->data, outputs, inputs, plain->data);
    *panels = plain;
    return EGO_OK;
}

static ego_err compare(const ego_weights *a, const ego_weights *b, ego_difference *d,
                       ego_tensor *plain) {
    if (!d->a || !d->b) return EGO_OK;
    if (!ego_tensor_same_shape(d->a, d->b)) EGO_TRY(unpack_like(a, &d->a, d->b, plain));
    if (!ego_tensor_same_shape(d->a, d->b)) EGO_TRY(unpack_like(b, &d->b, d->a, plain));
    d->comparable = ego_tensor_same_shape(d->a, d->b);
    if (d->comparable) measure(d);
    return EGO_OK;
}

ego_err ego_weights_compare(const ego_weights *a, const ego_weights *b,
                            bool (*visit)(void *, const ego_difference *), void *context) {
    size_t i = 0, j = 0, n = ego_weights_count(a), m = ego_weights_count(b);
    while (i < n || j < m) {
        int order = i == n   ? 1
                    : j == m ? -1
                             : strcmp(ego_weights_name(a, i), ego_weights_name(b, j));
        ego_difference d = {.name = order <= 0 ? ego_weights_name(a, i) : ego_weights_name(b, j)};
        if (order <= 0) d.a = ego_weights_tensor(a, i++);
        if (order >= 0) d.b = ego_weights_tensor(b, j++);
        if (!ego_is_weight(d.name)) continue;
        ego_tensor plain = {0};
        EGO_TRY(compare(a, b, &d, &plain));
        bool go_on = visit(context, &d);
        free(plain.data);
        if (!go_on) break;
    }
    return EGO_OK;
}

const char *ego_weights_not_finite(const ego_weights *weights, int64_t *element) {
    float block[BLOCK];
    for (size_t t = 0; t < ego_weights_count(weights); t++) {
        const ego_tensor *x = ego_weights_tensor(weights, t);
        if (!ego_dtype_is_float(x->dtype)) continue;
        int64_t count = ego_tensor_count(x);
        for (int64_t i = 0; i < count; i += BLOCK) {
            size_t n = block_to_f32(x, i, count, block);
            for (size_t k = 0; k < n; k++)
                if (!isfinite(block[k])) return *element = i + (int64_t)k, ego_weights_name(weights, t);
        }
    }
    return NULL;
}
