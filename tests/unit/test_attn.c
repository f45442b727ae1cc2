/* Cross-attention maps against plain loops in double precision over the states before each layer,
 * for fusion inside and on top; that looking changes nothing; and words made of tokens. */
#include "check.h"

#include "base/rng.h"
#include "task/attn.h"

enum {
    DIM = 24,
    HEADS = 2,
    WIDTH = DIM / HEADS,
    PATCH = 8,
    SIZE = 16,
    FRAMES = 3,
    DEPTH = 4,
    FUSED = 2
};
enum { PATCHES = (SIZE / PATCH) * (SIZE / PATCH), TOKENS = 1 + FRAMES * PATCHES, TEXT = 6 };

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;

static const int64_t ids[TEXT] = {0, 17, 44, 9, 250, 2};

static ego_config tiny(ego_fusion fusion) {
    ego_config c = ego_config_default();
    c.dim = DIM, c.heads = HEADS, c.depth = DEPTH, c.mlp_ratio = 2, c.fuse_layers = FUSED;
    c.patch = PATCH, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 300, c.max_positions = 20;
    for (int i = 0; i < 3; i++) c.projection[i] = 20;
    c.fusion = fusion;
    return c;
}

static float clip[FRAMES * 3 * SIZE * SIZE];

/* ---- the reference --------------------------------------------------------------------------- */

typedef struct matrix {
    double at[TOKENS][3 * DIM];
} matrix;

static const float *floats(const ego_param *p) { return p->value.data; }

static void norm(int n, const matrix *x, const ego_norm_params *p, matrix *y) {
    for (int r = 0; r < n; r++) {
        double mean = 0, variance = 0;
        for (int d = 0; d < DIM; d++) mean += x->at[r][d] / DIM;
        for (int d = 0; d < DIM; d++) variance += (x->at[r][d] - mean) * (x->at[r][d] - mean) / DIM;
        for (int d = 0; d < DIM; d++)
            y->at[r][d] = (x->at[r][d] - mean) / sqrt(variance + 1e-5) * floats(&p->weight)[d] +
                          floats(&p->bias)[d];
    }
}

/* Outputs of a product from column `to` of y on. */
static void linear(int n, const matrix *x, const ego_linear_params *p, int outputs, int to,
                   matrix *y) {
    for (int r = 0; r < n; r++)
        for (int o = 0; o < outputs; o++) {
            double sum = floats(&p->bias)[o];
            for (int i = 0; i < DIM; i++) sum += x->at[r][i] * floats(&p->weight)[o * DIM + i];
            y->at[r][to + o] = sum;
        }
}

typedef bool sees(int query, int key);

static bool everything(int query, int key) { return query >= 0 && key >= 0; }
static bool same_place(int query, int key) {
    return query == 0 || key == 0 || (query - 1) % PATCHES == (key - 1) % PATCHES;
}
static bool same_frame(int query, int key) {
    return query == 0 || key == 0 || (query - 1) / PATCHES == (key - 1) / PATCHES;
}

static void softmax_row(const double *q, const matrix *k, int nk, int column, int h, int query,
                        sees *seen, double *weight) {
    double total = 0;
    for (int j = 0; j < nk; j++) {
        double score = 0;
        for (int d = 0; d < WIDTH; d++)
            score += q[h * WIDTH + d] * k->at[j][column + h * WIDTH + d];
        total += weight[j] = seen(query, j) ? exp(score / sqrt(WIDTH)) : 0;
    }
    for (int j = 0; j < nk; j++) weight[j] /= total;
}

/* Self-attention over queries, keys and values side by side. */
static void attend(int n, const matrix *qkv, sees *seen, matrix *y) {
    double weight[TOKENS];
    for (int r = 0; r < n; r++)
        for (int h = 0; h < HEADS; h++) {
            softmax_row(qkv->at[r], qkv, n, DIM, h, r, seen, weight);
            for (int d = h * WIDTH; d < (h + 1) * WIDTH; d++) {
                y->at[r][d] = 0;
                for (int j = 0; j < n; j++) y->at[r][d] += weight[j] * qkv->at[j][2 * DIM + d];
            }
        }
}

static void add(int n, matrix *x, const matrix *y) {
    for (int r = 0; r < n; r++)
        for (int d = 0; d < DIM; d++) x->at[r][d] += y->at[r][d];
}

/* s, and from it the queries: section 3.2 for a block of the video. */
static void video_queries(const ego_video_block *p, const matrix *x, matrix *q) {
    static matrix h, qkv, a, r;
    norm(TOKENS, x, &p->norm3, &h);
    linear(TOKENS, &h, &p->time_qkv, 3 * DIM, 0, &qkv);
    attend(TOKENS, &qkv, same_place, &a);
    linear(TOKENS, &a, &p->time_proj, DIM, 0, &r);
    add(TOKENS, &r, x);
    norm(TOKENS, &r, &p->norm1, &h);
    linear(TOKENS, &h, &p->space_qkv, 3 * DIM, 0, &qkv);
    attend(TOKENS, &qkv, same_frame, &a);
    linear(TOKENS, &a, &p->space_proj, DIM, 0, &h);
    norm(TOKENS, &h, &p->cross_norm, &a);
    linear(TOKENS, &a, &p->cross_q, DIM, 0, q);
}

static void text_queries(const ego_text_layer *p, const matrix *x, matrix *q) {
    static matrix qkv, a, h;
    linear(TEXT, x, &p->query, DIM, 0, &qkv);
    linear(TEXT, x, &p->key, DIM, DIM, &qkv);
    linear(TEXT, x, &p->value, DIM, 2 * DIM, &qkv);
    attend(TEXT, &qkv, everything, &a);
    linear(TEXT, &a, &p->out, DIM, 0, &h);
    linear(TEXT, &h, &p->cross_query, DIM, 0, q);
}

static void stacked_queries(int n, const ego_stacked_layer *p, const matrix *x, const matrix *own,
                            matrix *q) {
    static matrix qkv, a, y;
    linear(n, own, &p->qkv, 3 * DIM, 0, &qkv);
    attend(n, &qkv, everything, &a);
    linear(n, &a, &p->proj, DIM, 0, &y);
    add(n, &y, x);
    norm(n, &y, &p->cross_norm, &a);
    linear(n, &a, &p->cross_q, DIM, 0, q);
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* The states that the encoders showed on their way, by the layer they come after. */
typedef struct shown {
    matrix video[2 * DEPTH], text[2 * DEPTH];
} shown;

static void keep(void *context, bool video, int64_t layer, const ego_tensor *x) {
    shown *s = context;
    matrix *m = video ? &s->video[layer] : &s->text[layer];
    for (int64_t r = 0; r < ego_tensor_rows(x); r++)
        for (int d = 0; d < DIM; d++) m->at[r][d] = (double)ego_f32(x)[r * DIM + d];
}

/* map (H, nq, nk) of queries and keys. */
static void check_map(const float *map, int nq, const matrix *q, int nk, const matrix *k) {
    double worst = 0, off = 0, weight[TOKENS];
    for (int h = 0; h < HEADS; h++)
        for (int r = 0; r < nq; r++) {
            double sum = 0;
            softmax_row(q->at[r], k, nk, 0, h, r, everything, weight);
            for (int j = 0; j < nk; j++) {
                double found = (double)map[(h * nq + r) * nk + j];
                if (!(fabs(found - weight[j]) <= worst)) worst = fabs(found - weight[j]);
                sum += found;
            }
            if (!(fabs(sum - 1) <= off)) off = fabs(sum - 1);
        }
    CHECK_NEAR(worst, 0, 3e-6);
    CHECK_NEAR(off, 0, 1e-6);
}

static void check_layer(const ego_model *m, const shown *s, const ego_attn *a, int64_t i) {
    static matrix q, k, own_video, own_text;
    int64_t layer = a->first_layer + i;
    const matrix *video = &s->video[layer - 1], *text = &s->text[layer - 1];
    const float *to_video = a->text_to_video + i * HEADS * TEXT * TOKENS;
    const float *to_text = a->video_to_text + i * HEADS * TOKENS * TEXT;
    if (m->config.fusion == EGO_FUSION_STACKED) {
        const ego_stacked_layer *of_video = &m->params->stack.video[i],
                                *of_text = &m->params->stack.text[i];
        norm(TOKENS, video, &of_video->attn_norm, &own_video);
        norm(TEXT, text, &of_text->attn_norm, &own_text);
        stacked_queries(TEXT, of_text, text, &own_text, &q);
        linear(TOKENS, &own_video, &of_text->cross_kv, 2 * DIM, 0, &k);
        check_map(to_video, TEXT, &q, TOKENS, &k);
        stacked_queries(TOKENS, of_video, video, &own_video, &q);
        linear(TEXT, &own_text, &of_video->cross_kv, 2 * DIM, 0, &k);
    } else {
        const ego_text_layer *t = &m->params->text.layers[layer];
        const ego_video_block *v = &m->params->video.blocks[layer];
        text_queries(t, text, &q);
        linear(TOKENS, video, &t->cross_key, DIM, 0, &k);
        check_map(to_video, TEXT, &q, TOKENS, &k);
        video_queries(v, video, &q);
        linear(TEXT, text, &v->cross_kv, 2 * DIM, 0, &k);
    }
    check_map(to_text, TOKENS, &q, TEXT, &k);
}

static void test_maps(ego_model *m) {
    static shown plain, watched;
    static const ego_attn_options all = {-1, -1};
    memset(&plain, 0, sizeof plain);
    memset(&watched, 0, sizeof watched);
    m->trace = keep;
    m->trace_context = &plain;
    int64_t offsets[] = {0, TEXT};
    ego_tensor clips = {clip, EGO_F32, 5, {1, FRAMES, 3, SIZE, SIZE}};
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_encode(
        &cx, m,
        &(ego_input){&clips, {ids, {.n = 1, .offsets = offsets}}, EGO_WANT_TOKENS, EGO_WANT_TOKENS},
        EGO_FUSED);
    CHECK_OK(ego_ctx_err(&cx));
    ego_ctx_rewind(&cx, &mark);
    m->trace_context = &watched;
    ego_attn a = {0};
    if (CHECK_OK(ego_attn_compute(&cx, m, clip, ids, TEXT, &all, &a))) {
        CHECK(memcmp(&plain, &watched, sizeof plain) == 0);
        CHECK(cx.backend == backend);
        CHECK(a.layers == FUSED && a.heads == HEADS && a.words == TEXT && a.tokens == TOKENS);
        CHECK(a.frames == FRAMES && a.rows == 2 && a.columns == 2);
        CHECK(a.first_layer == (m->config.fusion == EGO_FUSION_STACKED ? DEPTH : DEPTH - FUSED));
        for (int64_t i = 0; i < a.layers; i++) check_layer(m, &watched, &a, i);
    }
    m->trace = NULL;

    /* One layer and head alone are those of all. */
    ego_attn one = {0};
    ego_attn_options last = {a.first_layer + 1, 1};
    size_t bytes = TEXT * TOKENS * sizeof(float), from = (1 * HEADS + 1) * TEXT * TOKENS;
    if (CHECK_OK(ego_attn_compute(&cx, m, clip, ids, TEXT, &last, &one))) {
        CHECK(one.layers == 1 && one.heads == 1 && one.first_head == 1);
        CHECK(memcmp(one.text_to_video, a.text_to_video + from, bytes) == 0);
        CHECK(memcmp(one.video_to_text, a.video_to_text + from, bytes) == 0);
        CHECK(one.text_gate[0] == a.text_gate[1] && one.video_gate[0] == a.video_gate[1]);
    }
    ego_attn_release(&one);

    /* Tokens 1 to 3 are one word: it looks where they look on average, and is looked at as all of
     * them. */
    float kept[TEXT * TOKENS], seen[TEXT];
    memcpy(kept, a.text_to_video + from, bytes);
    memcpy(seen, a.video_to_text + from, sizeof seen);
    ego_word joined[] = {
        {0, 1, true, "<s>"}, {1, 4, false, "word"}, {4, 5, false, "x"}, {5, 6, true, "</s>"}};
    ego_attn_join(&a, &(ego_words){joined, 4, NULL});
    const float *rows = a.text_to_video + (1 * HEADS + 1) * 4 * TOKENS,
                *columns = a.video_to_text + (1 * HEADS + 1) * 4 * TOKENS;
    for (int t = 0; t < TOKENS; t++) {
        CHECK(rows[t] == kept[t] && rows[2 * TOKENS + t] == kept[4 * TOKENS + t]);
        CHECK_NEAR(rows[TOKENS + t],
                   (kept[TOKENS + t] + kept[2 * TOKENS + t] + kept[3 * TOKENS + t]) / 3, 1e-7);
    }
    CHECK(columns[0] == seen[0] && columns[2] == seen[4] && columns[3] == seen[5]);
    CHECK_NEAR(columns[1], seen[1] + seen[2] + seen[3], 1e-7);
    double weights[TOKENS], sum = 0;
    ego_attn_of_word(&a, 1, weights);
    for (int t = 0; t < TOKENS; t++) sum += weights[t];
    CHECK_NEAR(sum, 1, 1e-6);
    ego_attn_of_class(&a, weights);
    CHECK_NEAR(weights[0] + weights[1] + weights[2] + weights[3], 1, 1e-6);
    ego_attn_release(&a);
}

static void test_refusals(ego_model *m) {
    ego_attn a = {0};
    ego_config none = tiny(EGO_FUSION_NONE), never = m->config;
    CHECK_ERR(EGO_EUNSUPPORTED, ego_attn_check(&none, &(ego_attn_options){-1, -1}));
    never.fuse_layers = 0;
    CHECK_ERR(EGO_EUNSUPPORTED, ego_attn_check(&never, &(ego_attn_options){-1, -1}));
    CHECK_ERR(EGO_EINPUT,
              ego_attn_compute(&cx, m, clip, ids, TEXT, &(ego_attn_options){1, -1}, &a));
    CHECK_ERR(EGO_EINPUT,
              ego_attn_compute(&cx, m, clip, ids, TEXT, &(ego_attn_options){-1, HEADS}, &a));
    CHECK_ERR(EGO_EINPUT, ego_attn_compute(&cx, m, clip, ids, 0, &(ego_attn_options){-1, -1}, &a));
    CHECK_ERR(EGO_EINPUT, ego_attn_compute(&cx, m, clip, (int64_t[]){0, 300, 2}, 3,
                                           &(ego_attn_options){-1, -1}, &a));
    CHECK(!a.text_to_video && cx.backend == backend);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void check_words(const ego_bpe *bpe, const char *text, const char *expected) {
    ego_tokens tokens = {0};
    ego_words words = {0};
    ego_buf found = {0};
    CHECK_OK(ego_bpe_encode(bpe, text, strlen(text), 0, &tokens));
    if (CHECK_OK(ego_words_of(bpe, tokens.ids, tokens.count, &words))) {
        size_t next = 0;
        for (size_t i = 0; i < words.n; i++) {
            CHECK(words.at[i].first == next && words.at[i].end > next);
            next = words.at[i].end;
            ego_buf_printf(&found, "%s[%s]", words.at[i].special ? "!" : "", words.at[i].text);
        }
        CHECK(next == tokens.count);
        CHECK_STR(found.data, expected);
    }
    ego_buf_release(&found);
    ego_words_release(&words);
    ego_tokens_release(&tokens);
}

static void test_words(void) {
    ego_bpe *bpe;
    CHECK_OK(ego_bpe_new_bytes(300, &bpe));
    check_words(bpe, "#C C cuts an apple.", "![<s>][#C][C][cuts][an][apple.]![</s>]");
    check_words(bpe, "  two  blanks ", "![<s>][two][blanks][ ]![</s>]");
    check_words(bpe, "a<mask>b", "![<s>][a]![<mask>][b]![</s>]");
    check_words(bpe, "\xc3\xa9t\xc3\xa9\nc'est", "![<s>][\xc3\xa9t\xc3\xa9][c'est]![</s>]");
    check_words(bpe, "", "![<s>]![</s>]");
    ego_words words = {0};
    if (CHECK_OK(ego_words_of(NULL, ids, TEXT, &words))) {
        CHECK(words.n == TEXT && !words.at[0].special);
        CHECK_STR(words.at[2].text, "44");
    }
    ego_words_release(&words);
    CHECK_OK(ego_words_of(bpe, ids, 0, &words));
    CHECK(words.n == 0);
    ego_words_release(&words);
    ego_bpe_free(bpe);
}

int main(void) {
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    for (size_t i = 0; i < sizeof clip / sizeof clip[0]; i++) clip[i] = (float)ego_rng_normal(3, i);
    test_words();
    for (ego_fusion fusion = EGO_FUSION_BACKBONE; fusion <= EGO_FUSION_STACKED; fusion++) {
        ego_config c = tiny(fusion);
        ego_model *m;
        if (CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m))) {
            test_maps(m);
            test_refusals(m);
            ego_model_close(m, backend);
        }
    }
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
