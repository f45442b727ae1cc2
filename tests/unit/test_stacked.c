/* Stacked fusion: its layers against a reference of plain loops in double precision, its gradients against
 * differences of the losses, its cost against the products that are made (FiLM's too); and that every way to
 * configure fusion trains. That batches and shortcuts change no bit is test_model's part. */
#include "check.h"
#include "slope.h"

#include "base/rng.h"
#include "model/egovlp.h"
#include "model/heads.h"
#include "model/info.h"
#include "model/trainable.h"
#include "recipe/groups.h"
#include "recipe/objectives.h"
#include "recipe/step.h"

enum {
    DIM = 24,
    HEADS = 2,
    WIDTH = DIM / HEADS,
    RATIO = 2,
    PATCH = 8,
    SIZE = 16,
    FRAMES = 2,
    PAIRS = 2
};
enum { PATCHES = (SIZE / PATCH) * (SIZE / PATCH), TOKENS = 1 + FRAMES * PATCHES, TEXT = 9 };

static ego_pool *pool;
static ego_backend *backend;
static ego_ctx cx;

static ego_config tiny(void) {
    ego_config c = ego_config_default();
    c.dim = DIM, c.heads = HEADS, c.depth = 3, c.mlp_ratio = RATIO, c.fuse_layers = 2;
    c.patch = PATCH, c.image_size = SIZE, c.frames = FRAMES;
    c.vocab = 300, c.max_positions = 20;
    for (int i = 0; i < 3; i++) c.projection[i] = 20;
    c.fusion = EGO_FUSION_STACKED;
    return c;
}

/* Two clips and their narrations, of 5 and 4 tokens. */
static int64_t offsets[PAIRS + 1] = {0, 5, TEXT};
static int64_t ids[TEXT] = {0, 17, 44, 9, 2, 0, 250, 31, 2};
static const ego_text_shape shape = {PAIRS, offsets, 0, NULL};

static ego_tensor clips(void) {
    static float pixels[PAIRS * FRAMES * 3 * SIZE * SIZE];
    for (size_t i = 0; i < sizeof pixels / sizeof pixels[0]; i++)
        pixels[i] = (float)ego_rng_normal(3, i);
    return (ego_tensor){pixels, EGO_F32, 5, {PAIRS, FRAMES, 3, SIZE, SIZE}};
}

/* ---- the reference ------------------------------------------------------------------------------------ */

enum { ROWS = PAIRS * TOKENS, COLUMNS = RATIO * DIM > 3 * DIM ? RATIO *DIM : 3 * DIM };

typedef struct matrix {
    double at[ROWS][COLUMNS];
} matrix;

static const float *floats(const ego_param *p) { return p->value.data; }

static void reference_norm(int n, const matrix *x, const ego_norm_params *p, double eps,
                           matrix *y) {
    for (int r = 0; r < n; r++) {
        double mean = 0, variance = 0;
        for (int d = 0; d < DIM; d++) mean += x->at[r][d] / DIM;
        for (int d = 0; d < DIM; d++) variance += (x->at[r][d] - mean) * (x->at[r][d] - mean) / DIM;
        for (int d = 0; d < DIM; d++)
            y->at[r][d] = (x->at[r][d] - mean) / sqrt(variance + eps) * floats(&p->weight)[d] +
                          floats(&p->bias)[d];
    }
}

static void reference_linear(int n, const matrix *x, int inputs, const ego_linear_params *p,
                             int outputs, matrix *y) {
    for (int r = 0; r < n; r++)
        for (int o = 0; o < outputs; o++) {
            double sum = floats(&p->bias)[o];
            for (int i = 0; i < inputs; i++)
                sum += x->at[r][i] * floats(&p->weight)[o * inputs + i];
            y->at[r][o] = sum;
        }
}

/* Query rows [q0, q1) attend to key rows [k0, k1); queries in columns from 0 of q, keys and values in columns
 * from k on of kv. */
static void reference_attend(const matrix *q, int q0, int q1, const matrix *kv, int k0, int k1,
                             int k, matrix *y) {
    for (int r = q0; r < q1; r++)
        for (int h = 0; h < DIM; h += WIDTH) {
            double weight[ROWS], total = 0;
            for (int j = k0; j < k1; j++) {
                double score = 0;
                for (int d = h; d < h + WIDTH; d++) score += q->at[r][d] * kv->at[j][k + d];
                total += weight[j] = exp(score / sqrt(WIDTH));
            }
            for (int d = h; d < h + WIDTH; d++) {
                y->at[r][d] = 0;
                for (int j = k0; j < k1; j++)
                    y->at[r][d] += weight[j] / total * kv->at[j][k + DIM + d];
            }
        }
}

static void reference_add(int n, matrix *x, const matrix *y) {
    for (int r = 0; r < n; r++)
        for (int d = 0; d < DIM; d++) x->at[r][d] += y->at[r][d];
}

/* One stream of a layer, in place. Of pair i it has rows at[i] to at[i + 1], the other has other_at's. */
static void reference_layer(const ego_stacked_layer *p, matrix *x, const int *at, const matrix *own,
                            const matrix *other, const int *other_at) {
    static matrix q, kv, a, y;
    int n = at[PAIRS], others = other_at[PAIRS];
    reference_linear(n, own, DIM, &p->qkv, 3 * DIM, &kv);
    for (int i = 0; i < PAIRS; i++)
        reference_attend(&kv, at[i], at[i + 1], &kv, at[i], at[i + 1], DIM, &a);
    reference_linear(n, &a, DIM, &p->proj, DIM, &y);
    reference_add(n, x, &y);

    reference_norm(n, x, &p->cross_norm, 1e-5, &y);
    reference_linear(n, &y, DIM, &p->cross_q, DIM, &q);
    reference_linear(others, other, DIM, &p->cross_kv, 2 * DIM, &kv);
    for (int i = 0; i < PAIRS; i++)
        reference_attend(&q, at[i], at[i + 1], &kv, other_at[i], other_at[i + 1], 0, &a);
    reference_linear(n, &a, DIM, &p->cross_proj, DIM, &y);
    reference_add(n, x, &y);

    reference_norm(n, x, &p->mlp_norm, 1e-5, &y);
    reference_linear(n, &y, DIM, &p->fc1, RATIO * DIM, &a);
    for (int r = 0; r < n; r++)
        for (int d = 0; d < RATIO * DIM; d++) a.at[r][d] *= 0.5 * (1 + erf(a.at[r][d] / sqrt(2)));
    reference_linear(n, &a, RATIO * DIM, &p->fc2, DIM, &y);
    reference_add(n, x, &y);
}

static void from_tensor(const ego_tensor *t, matrix *x) {
    for (int64_t r = 0; r < ego_tensor_rows(t); r++)
        for (int d = 0; d < DIM; d++) x->at[r][d] = ego_f32(t)[r * DIM + d];
}

static void check_rows(const ego_tensor *got, const matrix *want) {
    double worst = 0;
    for (int64_t r = 0; r < ego_tensor_rows(got); r++)
        for (int d = 0; d < DIM; d++) {
            double e = fabs(ego_f32(got)[r * DIM + d] - want->at[r][d]);
            if (!(e <= worst)) worst = e;
        }
    CHECK_NEAR(worst, 0, 2e-5);
}

static void test_forward(ego_model *m) {
    static matrix video, text, own_video, own_text;
    static const int video_at[] = {0, TOKENS, 2 * TOKENS};
    const int text_at[] = {(int)offsets[0], (int)offsets[1], (int)offsets[2]};
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_tensor pixels = clips();
    ego_tensor *v = ego_fused_begin_video(&cx, m, &pixels);
    ego_tensor *t = ego_fused_begin_text(&cx, m, (ego_texts){ids, shape});
    ego_states got = ego_fused_finish(&cx, m, v, t, shape, EGO_WANT_TOKENS, EGO_WANT_TOKENS);
    if (!CHECK_OK(ego_ctx_err(&cx))) return;
    from_tensor(v, &video);
    from_tensor(t, &text);
    for (int64_t i = 0; i < m->config.fuse_layers; i++) {
        const ego_stacked_layer *of_video = &m->params->stack.video[i],
                                *of_text = &m->params->stack.text[i];
        reference_norm(ROWS, &video, &of_video->attn_norm, 1e-5, &own_video);
        reference_norm(TEXT, &text, &of_text->attn_norm, 1e-5, &own_text);
        reference_layer(of_video, &video, video_at, &own_video, &own_text, text_at);
        reference_layer(of_text, &text, text_at, &own_text, &own_video, video_at);
    }
    reference_norm(ROWS, &video, &m->params->fused_norm, 1e-6, &video);
    reference_norm(TEXT, &text, &m->params->stack.text_norm, 1e-5, &text);
    check_rows(got.video, &video);
    check_rows(got.text, &text);
    ego_ctx_rewind(&cx, &mark);
}

/* Below the stack both encoders are those of the dual path, whole, but for the class token. */
static void test_below(ego_model *m) {
    ego_params *p = m->params;
    float own[DIM];
    size_t bytes = sizeof own;
    memcpy(own, p->fused_cls.value.data, bytes);
    memcpy(p->fused_cls.value.data, p->video.cls.value.data, bytes);
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_tensor pixels = clips();
    ego_texts texts = {ids, shape};
    ego_states dual = ego_encode(
        &cx, m, &(ego_input){&pixels, texts, EGO_WANT_TOKENS, EGO_WANT_TOKENS}, EGO_DUAL);
    ego_tensor *v = ego_fused_begin_video(&cx, m, &pixels),
               *t = ego_fused_begin_text(&cx, m, texts);
    v = ego_layer_norm(&cx, v, &p->video.norm.weight, &p->video.norm.bias, 1e-5f);
    if (CHECK_OK(ego_ctx_err(&cx))) {
        CHECK(memcmp(v->data, dual.video->data, ROWS * bytes) == 0);
        CHECK(memcmp(t->data, dual.text->data, TEXT * bytes) == 0);
    }
    ego_ctx_rewind(&cx, &mark);
    memcpy(p->fused_cls.value.data, own, bytes);
}

/* ---- gradients ---------------------------------------------------------------------------------------- */

/* MLM + 2 VTM of the two pairs, one of them wrong; with dropout. Gradients are added where wanted. */
static double loss_of(ego_model *m, bool gradients) {
    static const int64_t own[] = {0, 1}, both[] = {0, 0}, label[] = {1, 0}, hidden_rows[] = {1, 6},
                         hidden[] = {20, 80};
    static const uint64_t streams[] = {5, 6};
    ego_tensor pixels = clips();
    ego_texts texts = {ids, {PAIRS, offsets, 0.1f, streams}};
    ego_fused_task task = {.clips = &pixels,
                           .masked = texts,
                           .masked_clip = own,
                           .hidden_rows = hidden_rows,
                           .hidden_ids = hidden,
                           .hidden = 2,
                           .paired = texts,
                           .paired_clip = both,
                           .paired_label = label};
    ego_tape *tape = NULL;
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_model_changed(m, backend);
    if (gradients && CHECK_OK(ego_tape_new(true, &tape))) ego_tape_attach(&cx, tape);
    ego_fused_losses l = ego_fused_objectives(&cx, m, &task, 0.5f, 0.5f);
    double loss = cx.err == EGO_OK ? (double)*ego_f32(l.mlm) + 2 * (double)*ego_f32(l.vtm) : NAN;
    if (tape) {
        ego_grad_add(&cx, l.mlm, 1, NULL);
        ego_grad_add(&cx, l.vtm, 2, NULL);
        ego_tape_backward(&cx);
        ego_tape_attach(&cx, NULL);
    }
    CHECK_OK(ego_ctx_err(&cx));
    ego_ctx_rewind(&cx, &mark);
    ego_tape_free(tape);
    return loss;
}

static double loss_again(void *context) { return loss_of(context, false); }

typedef struct differencing {
    slopes slopes;
    const char *part; /* of the names that are checked */
} differencing;

static ego_err check_gradient(void *context, const ego_param_spec *spec) {
    differencing *d = context;
    if (strstr(spec->name, d->part)) check_own_slope(&d->slopes, spec);
    return EGO_OK;
}

static void test_gradients(const ego_config *c, const char *part, int least) {
    ego_model *m;
    if (!CHECK_OK(ego_model_create(c, EGO_START_GOLDEN, 0, pool, &m))) return;
    CHECK_OK(ego_model_make_trainable(m, backend));
    loss_of(m, true);
    differencing d = {{.loss = loss_again, .context = m}, part};
    CHECK_OK(ego_params_visit(&m->config, m->params, check_gradient, &d));
    CHECK(d.slopes.checked >= least);
    printf("gradients of %d tensors %s: largest relative difference %.2g\n", d.slopes.checked, part, d.slopes.worst);
    ego_model_close(m, backend);
}

/* ---- the cost, counted where it is made ----------------------------------------------------------------- */

static ego_cost made;
static ego_err (*forward_linear)(ego_backend *, const ego_call *),
    (*forward_attention)(ego_backend *, const ego_call *);

static ego_err count_linear(ego_backend *b, const ego_call *call) {
    const ego_tensor *x = call->in[0];
    made.linear += ego_tensor_rows(x) * x->shape[x->ndim - 1] * call->out->shape[1];
    return forward_linear(b, call);
}

static ego_err count_attention(ego_backend *b, const ego_call *call) {
    const ego_attention_args *a = &call->as.attention;
    for (int64_t i = 0; i < a->count; i++)
        made.attention += 2 * a->heads * a->width * a->segments[i].nq *
                          (a->segments[i].nk + (a->segments[i].extra >= 0));
    return forward_attention(b, call);
}

/* All tokens of one pair, with the head that needs them: nothing is left out of a last layer. */
static void test_cost(ego_config c) {
    ego_model *m;
    ego_info info;
    CHECK_OK(ego_info_of(&c, offsets[1], &info));
    if (!CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m))) return;
    ego_tensor pixels = clips();
    pixels.shape[0] = 1;
    made = (ego_cost){0};
    forward_linear = backend->forward[EGO_OP_linear],
    forward_attention = backend->forward[EGO_OP_attention];
    backend->forward[EGO_OP_linear] = count_linear,
    backend->forward[EGO_OP_attention] = count_attention;
    ego_ctx_mark mark = ego_ctx_save(&cx);
    ego_texts texts = {ids, {1, offsets}};
    ego_states x = ego_encode(
        &cx, m, &(ego_input){&pixels, texts, EGO_WANT_TOKENS, EGO_WANT_TOKENS}, EGO_FUSED);
    ego_mlm_logits(&cx, m->params, x.text);
    CHECK_OK(ego_ctx_err(&cx));
    ego_ctx_rewind(&cx, &mark);
    backend->forward[EGO_OP_linear] = forward_linear,
    backend->forward[EGO_OP_attention] = forward_attention;
    CHECK(made.linear == info.mlm.linear);
    CHECK(made.attention == info.mlm.attention);
    if (c.fusion == EGO_FUSION_STACKED) {
        CHECK(info.stacked_parameters == info.parameters);
        CHECK(ego_cost_total(info.stacked_mlm) == ego_cost_total(info.mlm));
        CHECK(ego_cost_total(info.stacked_match) == ego_cost_total(info.match));
    }
    ego_model_close(m, backend);
}

/* What is told of the alternative is what it costs when it is chosen. */
static void test_alternative(void) {
    ego_config c = ego_config_default();
    ego_info told, built;
    CHECK_OK(ego_info_of(&c, 30, &told));
    c.fusion = EGO_FUSION_STACKED;
    CHECK_OK(ego_info_of(&c, 30, &built));
    CHECK(told.stacked_parameters == built.parameters);
    CHECK(told.dual_parameters == built.dual_parameters);
    CHECK(ego_cost_total(told.stacked_match) == ego_cost_total(built.match));
    CHECK(ego_cost_total(told.stacked_mlm) == ego_cost_total(built.mlm));
    CHECK(built.parameters == 466676827);
}

/* ---- every way to fuse trains ----------------------------------------------------------------------------- */

enum { SAMPLES = 4, FLOATS = FRAMES * 3 * SIZE * SIZE };

static ego_err count_gates(void *context, const ego_param_spec *spec) {
    int *trained = context;
    *trained += spec->param->grad && strstr(spec->name, "alpha");
    return EGO_OK;
}

/* Two updates: losses are finite, every parameter that one of them reaches moves, fixed gates do not. */
static void test_trains(ego_config c, const char *fusion, const char *gate, int64_t fuse_layers) {
    ego_model *m;
    ego_step *step = NULL;
    ego_step_losses losses[2];
    ego_optim optim = {0};
    ego_trained *trained = NULL;
    size_t n = 0;
    CHECK_OK(ego_config_set(&c, "fusion", fusion));
    CHECK_OK(ego_config_set(&c, "gate", gate));
    c.fuse_layers = fuse_layers;
    bool fused = c.fusion != EGO_FUSION_NONE;
    if (!CHECK_OK(ego_model_create(&c, EGO_START_PAPER, 1, pool, &m))) return;
    CHECK_OK(ego_model_make_trainable(m, backend));
    ego_step_options o = {.objectives = {.egonce = 1,
                                         .mlm = 1,
                                         .vtm = 2,
                                         .temperature = 0.05,
                                         .negatives = {.hard = true, .temperature = 0.05},
                                         .dropout = 0.1f},
                          .rows = SAMPLES,
                          .accumulate = 1,
                          .checkpoint_layers = true};
    if (!fused) {
        CHECK_ERR(EGO_EINPUT, ego_step_new(m, backend, &o, &step));
        o.objectives.vtm = 0;
    }
    CHECK_OK(ego_step_new(m, backend, &o, &step));
    CHECK_OK(ego_trained_list(m, 1, 4, 4, &trained, &n));
    ego_adamw adamw = ego_adamw_default();
    CHECK_OK(ego_optim_init(&optim, &adamw, trained, n, pool));

    static float pixels[SAMPLES][FLOATS];
    static const int64_t tokens[SAMPLES][5] = {
        {0, 17, 44, 9, 2}, {0, 81, 12, 200, 2}, {0, 5, 5, 77, 2}, {0, 140, 30, 6, 2}};
    static const uint16_t verb[SAMPLES] = {1, 2, 3, 4};
    ego_step_sample samples[SAMPLES];
    for (uint64_t i = 0; i < SAMPLES; i++) {
        for (uint64_t k = 0; k < FLOATS; k++) pixels[i][k] = (float)ego_rng_normal(i, k);
        ego_tags tag = {&verb[i], 1};
        samples[i] =
            (ego_step_sample){pixels[i], tokens[i], 5, ego_tag_bits_of(&tag, &tag), 100 + i};
    }
    for (int t = 0; step && t < 2; t++) {
        ego_model_zero_gradients(m);
        ego_model_changed(m, backend);
        CHECK_OK(ego_step_run(step, samples, 7 + (uint64_t)t, true, &losses[t]));
        CHECK_OK(ego_optim_check_grads(&optim));
        CHECK(ego_optim_square_norm(&optim) > 0);
        CHECK_OK(ego_optim_update(&optim, 1e-3));
        CHECK(isfinite(losses[t].total) && losses[t].egonce > 0 && losses[t].hidden > 0 &&
              losses[t].mlm > 0);
        CHECK((losses[t].vtm > 0) == fused);
    }
    CHECK(losses[0].total != losses[1].total);
    int gates = 0;
    (void)ego_params_visit(&m->config, m->params, count_gates, &gates);
    CHECK(gates == (c.gate.learned && c.fusion == EGO_FUSION_BACKBONE ? 2 * fuse_layers : 0));
    if (c.fusion == EGO_FUSION_BACKBONE && !c.gate.learned && fuse_layers > 0)
        CHECK(*ego_f32(&m->params->video.blocks[c.depth - 1].gate.value) == c.gate.value);
    ego_optim_release(&optim);
    free(trained);
    ego_step_free(step);
    ego_model_close(m, backend);
}

static void test_ways_to_fuse(const ego_config *c) {
    for (int64_t k = 0; k <= c->depth; k++) {
        test_trains(*c, "backbone", "learned", k);
        test_trains(*c, "stacked", "learned", k);
        test_trains(*c, "film", "learned", k);
    }
    test_trains(*c, "backbone", "one", 2);
    test_trains(*c, "backbone", "zero", 2);
    test_trains(*c, "backbone", "0.25", 2);
    test_trains(*c, "none", "learned", 0);
    test_trains(*c, "none", "learned", 2);
}

/* What the optimiser makes of the names: the rates of cross-attention, no decay of norms and biases. */
static ego_err check_group(void *context, const ego_param_spec *spec) {
    int *seen = context;
    if (!strstr(spec->name, "cross_modal_stack")) return EGO_OK;
    bool decay;
    CHECK(ego_group_of(spec->name, &decay) == EGO_GROUP_CROSS);
    CHECK(decay == (spec->ndim == 2));
    (*seen)++;
    return EGO_OK;
}

static void test_groups(const ego_model *m) {
    int seen = 0;
    CHECK_OK(ego_params_visit(&m->config, m->params, check_group, &seen));
    CHECK(seen == 2 * m->config.fuse_layers * 20 + 2);
}

int main(void) {
    CHECK_OK(ego_pool_new(2, &pool));
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    ego_config c = tiny(), backbone = c, film = c;
    backbone.fusion = EGO_FUSION_BACKBONE;
    film.fusion = EGO_FUSION_FILM;
    ego_model *m;
    if (CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 0, pool, &m))) {
        test_forward(m);
        test_below(m);
        test_groups(m);
        ego_model_close(m, backend);
    }
    test_gradients(&c, "cross_modal_stack", 61);
    test_gradients(&film, "cross_modal_film", 7);
    test_cost(c);
    test_cost(backbone);
    test_cost(film);
    test_alternative();
    test_ways_to_fuse(&c);
    c.gate = film.gate = (ego_gate){false, 1};
    CHECK_ERR(EGO_EINPUT, ego_config_check(&c));
    CHECK_ERR(EGO_EINPUT, ego_config_check(&film));
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    ego_pool_free(pool);
    return check_done();
}
