/* One training step's figures: losses, hard-negative weights, gradients and their norms. */
#ifndef EGO_TESTS_GOLDEN_TRAINING_H
#define EGO_TESTS_GOLDEN_TRAINING_H

#include "fixture.h"

#include "model/trainable.h"
#include "recipe/negatives.h"
#include "recipe/objectives.h"

/* The step's inputs, as a folder of tiny's layout gives them. */
typedef struct step_input {
    narrations plain, masked, paired;
    ego_npy positive, videos, texts, labels;
    int64_t hidden_rows[MAX_TOKENS], hidden_ids[MAX_TOKENS], hidden;
    int64_t clip[MAX_TEXTS], paired_clip[MAX_TEXTS], paired_label[MAX_TEXTS], n;
    uint8_t positives[MAX_TEXTS * MAX_TEXTS];
    ego_tensor *clips;
} step_input;

/* The tokens with a label, as rows of the narrations without padding. */
static bool load_hidden(const fixture *f, step_input *in) {
    ego_npy labels = {0}, mask = {0};
    if (!load(f, "mlm_labels", &labels) || !load(f, "attention_mask", &mask)) return false;
    for (int64_t i = 0, row = 0; i < ego_tensor_count(&labels.tensor); i++) {
        int64_t label = labels.tensor.dtype == EGO_I64 ? ((int64_t *)labels.tensor.data)[i]
                                                       : ((int32_t *)labels.tensor.data)[i];
        if (!((int32_t *)mask.tensor.data)[i]) continue;
        if (label >= 0) {
            in->hidden_rows[in->hidden] = row;
            in->hidden_ids[in->hidden++] = label;
        }
        row++;
    }
    ego_npy_close(&labels);
    ego_npy_close(&mask);
    return true;
}

static int64_t integer(const ego_npy *a, int64_t i) {
    switch (a->tensor.dtype) {
    case EGO_I64: return ((int64_t *)a->tensor.data)[i];
    case EGO_I32: return ((int32_t *)a->tensor.data)[i];
    case EGO_F32: return ego_f32(&a->tensor)[i] != 0;
    default: return ((uint8_t *)a->tensor.data)[i];
    }
}

static bool load_step(fixture *f, step_input *in) {
    if (!load(f, "positive_mask", &in->positive) || !load(f, "vtm_video_index", &in->videos) ||
        !load(f, "vtm_text_index", &in->texts) || !load(f, "vtm_labels", &in->labels))
        return false;
    int64_t n = in->n = in->positive.tensor.shape[0];
    if (!load_texts(f, "input_ids", NULL, 0, &in->plain) ||
        !load_texts(f, "mlm_input_ids", NULL, 0, &in->masked) ||
        !load_texts(f, "input_ids", in->texts.tensor.data, n, &in->paired) || !load_hidden(f, in))
        return false;
    for (int64_t i = 0; i < n; i++) {
        in->clip[i] = i;
        in->paired_clip[i] = integer(&in->videos, i);
        in->paired_label[i] = integer(&in->labels, i);
    }
    for (int64_t i = 0; i < n * n; i++) in->positives[i] = integer(&in->positive, i) != 0;
    in->clips = load_clips(f, NULL, 0);
    return CHECK(in->clips && in->clips->shape[0] == n);
}

static void release_step(step_input *in) {
    ego_npy_close(&in->positive);
    ego_npy_close(&in->videos);
    ego_npy_close(&in->texts);
    ego_npy_close(&in->labels);
}

typedef struct step_losses {
    double egonce, mlm, vtm;
} step_losses;

/* Losses of the step, their gradients added to the parameters'. */
static ego_err run_step(fixture *f, const step_input *in, ego_tape *tape, step_losses *out) {
    ego_ctx *cx = &f->cx;
    ego_ctx_mark mark = ego_ctx_save(cx);
    int64_t n = in->n, width;
    float *dtext = NULL, *dvideo = NULL;
    ego_tape_attach(cx, tape);
    ego_embeddings e = ego_dual_embeddings(cx, f->model, &(ego_samples){in->clips, in->plain.texts});
    if (cx->err == EGO_OK) {
        width = ego_tensor_columns(e.text);
        dtext = calloc((size_t)(2 * n * width), sizeof *dtext);
        dvideo = dtext + n * width;
        ego_contrast_terms terms = {.positive = in->positives, .temperature = 0.05f};
        ego_contrast_result r = {.dtext = dtext, .dvideo = dvideo};
        CHECK_OK(ego_contrast_all(cx, n, width, ego_f32(e.text), ego_f32(e.video), &terms, 1, &r));
        out->egonce = r.loss;
        ego_grad_add(cx, e.text, 1, dtext);
        ego_grad_add(cx, e.video, 1, dvideo);
        ego_tape_backward(cx);
    }
    ego_tape_attach(cx, tape);
    ego_fused_losses l = ego_fused_objectives(
        cx, f->model,
        &(ego_fused_task){in->clips, in->masked.texts, in->clip, in->hidden_rows, in->hidden_ids, in->hidden,
                          in->paired.texts, in->paired_clip, in->paired_label},
        1 / (float)in->hidden, 1 / (float)n);
    if (cx->err == EGO_OK) {
        out->mlm = *ego_f32(l.mlm);
        out->vtm = *ego_f32(l.vtm);
        ego_grad_add(cx, l.mlm, 1, NULL);
        ego_grad_add(cx, l.vtm, 2, NULL);
        ego_tape_backward(cx);
    }
    ego_tape_attach(cx, NULL);
    ego_ctx_rewind(cx, &mark);
    free(dtext);
    return ego_ctx_err(cx);
}

/* Softmax weights of the candidates before the floor, from the golden similarities. */
static void check_negatives(fixture *f, const step_input *in) {
    ego_npy sim = {0};
    if (!load(f, "sim", &sim)) return;
    for (int columns = 0; columns < 2; columns++) {
        double weight[MAX_TEXTS];
        ego_npy ref = {0};
        if (!CHECK(load(f, columns ? "hardneg_weight_rows_t2v" : "hardneg_weight_rows_v2t", &ref))) break;
        for (int64_t i = 0; i < in->n; i++) {
            ego_negative_weights(in->n, ego_f32(&sim.tensor), in->positives, 0.05, columns, i, weight);
            for (int64_t j = 0; j < in->n; j++) {
                double want = ego_f32(&ref.tensor)[i * in->n + j];
                CHECK(fabs(weight[j] - want) < 1e-5 * want || fabs(weight[j] - want) < 1e-9);
            }
        }
        ego_npy_close(&ref);
    }
    ego_npy_close(&sim);
}

/* 1e-4 relative, or 1e-6 absolute where the reference itself is rounding noise. */
typedef struct gradient_check {
    fixture *f;
    double worst, squares;
} gradient_check;

static double norm_of(const float *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static ego_err check_gradient(void *context, const ego_param_spec *spec) {
    gradient_check *g = context;
    const ego_param *p = spec->param;
    int64_t n = ego_tensor_count(&p->value);
    double want, norm = p->grad ? norm_of(p->grad, n) : 0;
    g->squares += norm * norm;
    if (ego_json_number(ego_json_get(ego_json_get(g->f->meta, "grad_norm"), spec->name), &want)) {
        double error = fabs(norm - want) / want;
        if (!CHECK(error < 1e-4 || fabs(norm - want) < 1e-6))
            fprintf(stderr, "    %s: gradient norm of %s: %.9g, expected %.9g\n", g->f->folder, spec->name, norm, want);
        else if (fabs(norm - want) >= 1e-6 && error > g->worst)
            g->worst = error;
    }
    char name[256];
    ego_npy ref = {0};
    snprintf(name, sizeof name, "grad/%s", spec->name);
    if (!load(g->f, name, &ref)) return EGO_OK;
    double difference = 0, most = 0, norm2 = norm_of(ego_f32(&ref.tensor), n);
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((p->grad ? p->grad[i] : 0) - (double)ego_f32(&ref.tensor)[i]);
        difference += d * d;
        if (!(d <= most)) most = d;
    }
    if (!CHECK(sqrt(difference) < 1e-4 * norm2 || most < 1e-6))
        fprintf(stderr, "    %s: gradient of %s: relative error %.3g\n", g->f->folder, spec->name, sqrt(difference) / norm2);
    ego_npy_close(&ref);
    return EGO_OK;
}

static void check_loss(const fixture *f, const char *name, double got) {
    double want = number(ego_json_get(f->meta, "losses"), name, NAN), error = fabs(got - want) / fabs(want);
    if (!CHECK(error < 1e-5))
        fprintf(stderr, "    %s: loss %s: %.9g, expected %.9g\n", f->folder, name, got, want);
}

static void check_training(fixture *f) {
    if (!exists(f->folder, "grad")) return;
    ego_ctx_mark mark = ego_ctx_save(&f->cx);
    step_input *in = calloc(1, sizeof *in);
    bool loaded = CHECK(load_step(f, in));
    if (loaded) check_negatives(f, in);
    if (loaded && CHECK_OK(ego_model_make_trainable(f->model, f->backend)))
        for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
            ego_tape *tape;
            step_losses losses = {0};
            gradient_check g = {.f = f};
            ego_model_zero_gradients(f->model);
            if (!CHECK_OK(ego_tape_new(checkpoint, &tape))) break;
            if (CHECK_OK(run_step(f, in, tape, &losses))) {
                check_loss(f, "egonce", losses.egonce);
                check_loss(f, "mlm", losses.mlm);
                check_loss(f, "vtm", losses.vtm);
                check_loss(f, "total", losses.egonce + losses.mlm + 2 * losses.vtm);
                (void)ego_params_visit(&f->model->config, f->model->params, check_gradient, &g);
                double total = number(f->meta, "grad_total_norm", NAN);
                CHECK_NEAR(sqrt(g.squares) / total, 1, 1e-4);
                printf("%s: gradients%s: largest relative error of a norm %.2g\n", f->folder,
                       checkpoint ? " (checkpointed)" : "", g.worst);
            }
            ego_tape_free(tape);
        }
    release_step(in);
    free(in);
    ego_ctx_rewind(&f->cx, &mark);
}

#endif
