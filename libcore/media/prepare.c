#include "media/prepare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TAPS = 4, MAX_SIZE = 4096, LANES = 16 };

/* One output sample along one axis: the sum of weight * pixel over n source positions. */
typedef struct tap_list {
    int n;
    int at[TAPS];
    float weight[TAPS];
} tap_list;

struct ego_preparer {
    ego_preparation preparation;
    int size;
    int width, height; /* the picture that the weights are for; 0: none */
    ego_box box;       /* what they cover; width 0: the standard preparation */
    tap_list *x, *y;   /* (size) each */
    int left, right;   /* the source columns used: [left, right) */
    float *row;        /* one output row before it is resized along x: (right - left, 3) */
    float scale[3], shift[3];
};

ego_err ego_preparer_new(ego_preparation preparation, int size, ego_preparer **out) {
    static const double mean[3][3] = {
        {0.485, 0.456, 0.406}, {123.675, 116.28, 103.53}, {0.485, 0.456, 0.406}};
    static const double deviation[3][3] = {
        {0.229, 0.224, 0.225}, {58.395, 57.12, 57.375}, {0.229, 0.224, 0.225}};
    if (size < 1 || size > MAX_SIZE)
        return ego_fail(EGO_EINPUT, "an image size of %d: expected 1 to %d", size, MAX_SIZE);
    ego_preparer *p = calloc(1, sizeof *p);
    if (p) p->x = calloc((size_t)size * 2, sizeof *p->x);
    if (!p || !p->x) {
        free(p);
        return ego_fail(EGO_ENOMEM, "out of memory for preparing frames");
    }
    p->y = p->x + size;
    p->preparation = preparation;
    p->size = size;
    double unit = preparation == EGO_PREPARE_EPIC ? 1 : 255;
    for (int c = 0; c < 3; c++) {
        p->scale[c] = (float)(1 / (unit * deviation[preparation][c]));
        p->shift[c] = (float)(-mean[preparation][c] / deviation[preparation][c]);
    }
    *out = p;
    return EGO_OK;
}

void ego_preparer_free(ego_preparer *p) {
    if (!p) return;
    free(p->x);
    free(p->row);
    free(p);
}

size_t ego_prepared_floats(const ego_preparer *p) {
    return (size_t)3 * (size_t)p->size * (size_t)p->size;
}

/* ---- weights --------------------------------------------------------------------------------- */

/* Position i of `to` samples laid over `from`: in float32, as torch computes it. */
static tap_list bilinear(int i, int from, int to) {
    float scale = (float)from / (float)to;
    float at = scale * ((float)i + 0.5f) - 0.5f;
    if (at < 0) at = 0;
    int low = (int)at;
    if (low > from - 1) low = from - 1;
    int high = low < from - 1 ? low + 1 : low;
    float part = at - (float)low;
    if (from == to) part = 0; /* sizes that agree are not resized */
    return (tap_list){2, {low, high}, {1 - part, part}};
}

static void add_tap(tap_list *list, int at, float weight) {
    if (weight == 0) return;
    for (int i = 0; i < list->n; i++)
        if (list->at[i] == at) {
            list->weight[i] += weight;
            return;
        }
    list->at[list->n] = at;
    list->weight[list->n++] = weight;
}

/* One axis: `from` pixels resized to `middle`, `crop` of these from `offset` on, and these to
 * `to`. */
static void compose(int from, int middle, int offset, int crop, int to, tap_list *list) {
    for (int i = 0; i < to; i++) {
        tap_list outer = bilinear(i, crop, to), sum = {0};
        for (int j = 0; j < 2; j++) {
            tap_list inner = bilinear(offset + outer.at[j], from, middle);
            add_tap(&sum, inner.at[0], outer.weight[j] * inner.weight[0]);
            add_tap(&sum, inner.at[1], outer.weight[j] * inner.weight[1]);
        }
        list[i] = sum;
    }
}

static int centre(int whole, int part) { return (int)rint((whole - part) / 2.0); }

static void plan_standard(ego_preparer *p) {
    int size = p->size, crop = size;
    if (p->preparation == EGO_PREPARE_STANDARD) crop = (int)lround(size * 256.0 / 224.0);
    bool wide = p->width >= p->height;
    int shorter = wide ? p->height : p->width, longer = wide ? p->width : p->height;
    int resized = (int)((int64_t)crop * longer / shorter);
    int offset = centre(resized, crop);
    compose(longer, resized, offset, crop, size, wide ? p->x : p->y);
    compose(shorter, crop, 0, crop, size, wide ? p->y : p->x);
}

static void plan_box(ego_preparer *p, ego_box box) {
    compose(box.width, box.width, 0, box.width, p->size, p->x);
    compose(box.height, box.height, 0, box.height, p->size, p->y);
    for (int i = 0; i < p->size; i++) {
        for (int k = 0; k < p->x[i].n; k++) p->x[i].at[k] += box.left;
        for (int k = 0; k < p->y[i].n; k++) p->y[i].at[k] += box.top;
    }
}

/* Makes the weights those for this picture and box. */
static ego_err plan(ego_preparer *p, const ego_image *image, ego_box box) {
    if (p->width == image->width && p->height == image->height &&
        memcmp(&p->box, &box, sizeof box) == 0)
        return EGO_OK;
    p->width = image->width;
    p->height = image->height;
    p->box = box;
    if (box.width)
        plan_box(p, box);
    else
        plan_standard(p);
    p->left = p->width;
    p->right = 0;
    for (int i = 0; i < p->size; i++)
        for (int k = 0; k < p->x[i].n; k++) {
            if (p->x[i].at[k] < p->left) p->left = p->x[i].at[k];
            if (p->x[i].at[k] >= p->right) p->right = p->x[i].at[k] + 1;
        }
    free(p->row);
    p->row = malloc(((size_t)(p->right - p->left) * 3 + LANES) * sizeof *p->row);
    if (p->row) return EGO_OK;
    p->width = 0;
    return ego_fail(EGO_ENOMEM, "out of memory for preparing frames");
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* row[i] = the weighted sum of up to four picture rows; blocks of fixed length become vectors. */
static void mix_rows(const uint8_t *const from[TAPS], const float weight[TAPS], size_t n,
                     float *row) {
    const uint8_t *a = from[0], *b = from[1], *c = from[2], *d = from[3];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = i; k < i + LANES; k++)
            row[k] = weight[0] * (float)a[k] + weight[1] * (float)b[k] + weight[2] * (float)c[k] +
                     weight[3] * (float)d[k];
    for (; i < n; i++)
        row[i] = weight[0] * (float)a[i] + weight[1] * (float)b[i] + weight[2] * (float)c[i] +
                 weight[3] * (float)d[i];
}

static void mix_columns(const ego_preparer *p, const float *row, bool flip, float *out) {
    size_t plane = (size_t)p->size * (size_t)p->size;
    for (int x = 0; x < p->size; x++) {
        const tap_list *taps = &p->x[flip ? p->size - 1 - x : x];
        float r = 0, g = 0, b = 0;
        for (int k = 0; k < taps->n; k++) {
            const float *pixel = row + 3 * (size_t)(taps->at[k] - p->left);
            r += taps->weight[k] * pixel[0];
            g += taps->weight[k] * pixel[1];
            b += taps->weight[k] * pixel[2];
        }
        out[x] = r * p->scale[0] + p->shift[0];
        out[x + plane] = g * p->scale[1] + p->shift[1];
        out[x + 2 * plane] = b * p->scale[2] + p->shift[2];
    }
}

static ego_err render(ego_preparer *p, const ego_image *image, ego_box box, bool flip, float *out) {
    if (!image->rgb || image->width < 1 || image->height < 1)
        return ego_fail(EGO_EINPUT, "expected a picture, found an empty one");
    EGO_TRY(plan(p, image, box));
    size_t n = (size_t)(p->right - p->left) * 3;
    for (int y = 0; y < p->size; y++) {
        const uint8_t *from[TAPS];
        float weight[TAPS] = {0};
        for (int k = 0; k < TAPS; k++) {
            int at = k < p->y[y].n ? p->y[y].at[k] : p->y[y].at[0];
            from[k] = image->rgb + 3 * ((size_t)at * (size_t)image->width + (size_t)p->left);
            if (k < p->y[y].n) weight[k] = p->y[y].weight[k];
        }
        mix_rows(from, weight, n, p->row);
        mix_columns(p, p->row, flip, out + (size_t)y * (size_t)p->size);
    }
    return EGO_OK;
}

ego_err ego_prepare(ego_preparer *p, const ego_image *image, float *out) {
    return render(p, image, (ego_box){0}, false, out);
}

ego_err ego_prepare_box(ego_preparer *p, const ego_image *image, ego_box box, bool flip,
                        float *out) {
    if (box.left < 0 || box.top < 0 || box.width < 1 || box.height < 1 ||
        box.width > image->width - box.left || box.height > image->height - box.top)
        return ego_fail(EGO_EINPUT, "a crop of %d x %d at (%d, %d) is not inside a %d x %d picture",
                        box.width, box.height, box.left, box.top, image->width, image->height);
    return render(p, image, box, flip, out);
}

void ego_prepare_black(const ego_preparer *p, float *out) {
    size_t plane = (size_t)p->size * (size_t)p->size;
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < plane; i++) out[c * plane + i] = p->shift[c];
}

ego_err ego_unprepare(const ego_preparer *p, const float *prepared, ego_image *image) {
    size_t area = (size_t)p->size * (size_t)p->size;
    EGO_TRY(ego_image_new(p->size, p->size, image));
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++) {
            float value = (prepared[c * area + i] - p->shift[c]) / p->scale[c];
            image->rgb[3 * i + c] = (uint8_t)(fminf(fmaxf(value, 0), 255) + 0.5f); /* NaN: 0 */
        }
    return EGO_OK;
}
