/* Products with panels.
 *
 * A register tile of `m` rows and `np` panels walks K: one vector multiply-add per element and step. K is
 * cut every K_BLOCK steps at the same places for every row: the blocks' sums are added in memory, which
 * keeps the panels of a tile in the first cache and the rounding error small.
 */
enum { K_BLOCK = 384, PANEL_VECS = EGO_PANEL / LANES, PANELS_MAX = 4 };

/* The largest tile, and all (rows, panels) that leave room for the operands in the registers. */
#if defined(__AVX512F__)
enum { TILE_ROWS = 14 };
#define TILES(X)                                                                                   \
    X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1)      \
    X(12, 1) X(13, 1) X(14, 1)                                                                     \
    X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2) X(9, 2) X(10, 2) X(11, 2)      \
    X(12, 2) X(13, 2) X(14, 2)                                                                     \
    X(1, 4) X(2, 4) X(3, 4) X(4, 4) X(5, 4) X(6, 4)
#elif defined(__AVX2__)
enum { TILE_ROWS = 6 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2) X(1, 4)
#elif defined(__aarch64__)
enum { TILE_ROWS = 6 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1) X(1, 2) X(2, 2) X(3, 2)
#else
enum { TILE_ROWS = 3 };
#define TILES(X) X(1, 1) X(2, 1) X(3, 1)
#endif

/* c (+)= a · panels, m rows and np panels of c; k steps. panel_stride: floats from panel to panel. */
typedef void tile_fn(int64_t k, const float *a, int64_t a_stride, const float *panels,
                     int64_t panel_stride, float *c, int64_t c_stride, bool add);

INLINE void tile(const int m, const int np, int64_t k, const float *a, int64_t a_stride,
                 const float *panels, int64_t panel_stride, float *c, int64_t c_stride, bool add) {
    enum { VECS = PANELS_MAX * PANEL_VECS };
    vec sum[TILE_ROWS][VECS];
    const int nv = np * PANEL_VECS;
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++) sum[i][j] = (vec){0};
    for (int64_t s = 0; s < k; s++) {
        vec b[VECS];
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++)
            b[j] = load(panels + j / PANEL_VECS * panel_stride + s * EGO_PANEL +
                        j % PANEL_VECS * LANES);
#pragma GCC unroll 16
        for (int i = 0; i < m; i++) {
            vec x = splat(a[i * a_stride + s]);
#pragma GCC unroll 16
            for (int j = 0; j < nv; j++) sum[i][j] += x * b[j];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < m; i++)
#pragma GCC unroll 16
        for (int j = 0; j < nv; j++) {
            float *at = c + i * c_stride + j * LANES;
            store(at, add ? load(at) + sum[i][j] : sum[i][j]);
        }
}

#define TILE_FUNCTION(m, np)                                                                       \
    static void tile_##m##x##np(int64_t k, const float *a, int64_t a_stride, const float *panels,  \
                                int64_t panel_stride, float *c, int64_t c_stride, bool add) {      \
        tile(m, np, k, a, a_stride, panels, panel_stride, c, c_stride, add);                       \
    }
TILES(TILE_FUNCTION)
#define TILE_ENTRY(m, np) [m][np] = tile_##m##x##np,
static tile_fn *const tiles[TILE_ROWS + 1][PANELS_MAX + 1] = {TILES(TILE_ENTRY)};

/* The most panels that a tile of m rows takes. */
static int tile_panels(int64_t m) {
    int np = PANELS_MAX;
    while (!tiles[m][np]) np /= 2;
    return np;
}

/* One tile whose columns beyond `valid` do not exist in c. */
static void edge_tile(int64_t m, int np, int64_t lead, int64_t valid, int64_t k, const float *a,
                      int64_t a_stride, const float *panels, int64_t panel_stride, float *c,
                      int64_t c_stride, bool add) {
    enum { WIDTH = PANELS_MAX * EGO_PANEL };
    float whole[TILE_ROWS * WIDTH];
    size_t bytes = (size_t)(valid - lead) * sizeof(float);
    tiles[m][np](k, a, a_stride, panels, panel_stride, whole, WIDTH, false);
    for (int64_t i = 0; i < m; i++) {
        float *to = c + i * c_stride, *from = whole + i * WIDTH;
        if (!add)
            memcpy(to + lead, from + lead, bytes);
        else
            for (int64_t j = lead; j < valid; j++) to[j] += from[j];
    }
}

/* Bias, activation and residual on a finished piece of c, while it is in the first cache. */
INLINE void finish_as(const ego__product *p, ego_act act, int64_t row, int64_t rows, int64_t first,
                      int64_t last) {
    for (int64_t i = row; i < row + rows; i++) {
        float *c = p->c + i * p->c_stride;
        const float *residual = p->residual ? p->residual + i * p->residual_stride : NULL;
        for (int64_t j = first; j < last; j += LANES) {
            int64_t n = part(last - j);
            vec x = load_part(c + j, n, 0);
            if (p->bias) x += load_part(p->bias + j, n, 0);
            x = activation(x, act);
            if (residual) x += load_part(residual + j, n, 0);
            store_part(c + j, x, n);
        }
    }
}

static void finish(const ego__product *p, int64_t row, int64_t rows, int64_t first, int64_t last) {
    switch (p->act) {
    case EGO_ACT_GELU: finish_as(p, EGO_ACT_GELU, row, rows, first, last); break;
    case EGO_ACT_RELU: finish_as(p, EGO_ACT_RELU, row, rows, first, last); break;
    case EGO_ACT_TANH: finish_as(p, EGO_ACT_TANH, row, rows, first, last); break;
    case EGO_ACT_NONE:
        if (p->bias || p->residual) finish_as(p, EGO_ACT_NONE, row, rows, first, last);
        break;
    }
}

/* Rows are cut into tiles that differ by at most one row: a last tile of one row would cost as much as a
 * whole one. */
static void product(const ego__product *p) {
    int64_t count = (p->rows + TILE_ROWS - 1) / TILE_ROWS, panel_stride = p->k * EGO_PANEL;
    if (count == 0 || p->first >= p->last) return;
    int widest = tile_panels((p->rows + count - 1) / count);
    int64_t from = p->first / EGO_PANEL, to = ego_panel_count(p->last);
    for (int64_t k = 0; k == 0 || k < p->k; k += K_BLOCK) {
        int64_t steps = p->k - k < K_BLOCK ? p->k - k : K_BLOCK;
        for (int64_t panel = from; panel < to;) {
            int np = widest;
            while (np > to - panel) np /= 2;
            const float *b = p->panels + panel * panel_stride + k * EGO_PANEL;
            int64_t column = panel * EGO_PANEL, end = column + np * EGO_PANEL;
            int64_t first = column < p->first ? p->first : column, last = end > p->last ? p->last : end;
            for (int64_t t = 0; t < count; t++) {
                int64_t row = t * p->rows / count, m = (t + 1) * p->rows / count - row;
                const float *a = p->a + row * p->a_stride + k;
                float *c = p->c + row * p->c_stride + column;
                if (first == column && last == end)
                    tiles[m][np](steps, a, p->a_stride, b, panel_stride, c, p->c_stride, k > 0);
                else
                    edge_tile(m, np, first - column, last - column, steps, a, p->a_stride, b,
                              panel_stride, c, p->c_stride, k > 0);
                if (k + steps == p->k) finish(p, row, m, first, last);
            }
            panel += np;
        }
    }
}
