#include "task/qfvs.h"

#include "model/layers.h"

#include <math.h>
#include <string.h>

/* x with positions added: a constant, whatever is trained. */
static ego_tensor *add_positions(ego_ctx *cx, const ego_tensor *x, ego_groups segments) {
    int64_t D = ego_tensor_columns(x);
    ego_tensor *pe = EGO_TENSOR(cx, ego_tensor_rows(x), D);
    for (int64_t g = 0; pe && g < segments.count; g++)
        for (int64_t r = segments.first[g]; r < segments.first[g + 1]; r++) {
            double p = (double)(r - segments.first[g]);
            float *row = ego_f32(pe) + r * D;
            for (int64_t i = 0; i < D; i++) {
                double at = p / pow(10000, 2 * (double)i / (double)D);
                row[i] = (float)(i % 2 ? cos(at) : sin(at));
            }
        }
    return pe ? ego_add(cx, x, pe) : NULL;
}

ego_tensor *ego_qfvs_logits(ego_ctx *cx, ego_head *head, const ego_tensor *features,
                            ego_groups segments, const float *key_bias) {
    const ego_qfvs_config *c = &head->config.qfvs;
    ego_qfvs_params *p = &head->params.qfvs;
    if (!features) return NULL;
    ego_tensor *x = add_positions(cx, features, segments);
    for (int64_t i = 0; i < c->layers; i++) {
        ego_tensor *qkv = ego_dense(cx, x, &p->layer[i].qkv, EGO_ACT_NONE, NULL);
        ego_tensor *a = ego_attend_within(cx, qkv, c->heads, segments, key_bias);
        x = ego_norm(cx, ego_dense(cx, a, &p->layer[i].out, EGO_ACT_NONE, x), &p->layer[i].norm1,
                     1e-5f);
        ego_tensor *h = ego_dense(cx, x, &p->layer[i].fc1, EGO_ACT_RELU, NULL);
        x = ego_norm(cx, ego_dense(cx, h, &p->layer[i].fc2, EGO_ACT_NONE, x), &p->layer[i].norm2,
                     1e-5f);
    }
    x = ego_dense(cx, x, &p->projector, EGO_ACT_RELU, NULL);
    return ego_dense(cx, x, &p->score, EGO_ACT_NONE, NULL);
}

static const char *in_words(const char *tag) {
    static const char *const words[][2] = {
        {"Cupglass", "Glass"}, {"Musicalinstrument", "Instrument"}, {"Petsanimal", "Animal"}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(tag, words[i][0]) == 0) return words[i][1];
    return tag;
}

/* PicksUp: " picks up". What is no letter of ASCII stays as it is. */
static void say_words(const char *tag, ego_buf *text) {
    for (bool start = true; *tag; start = false, tag++) {
        bool capital = *tag >= 'A' && *tag <= 'Z';
        if (start || capital) ego_buf_char(text, ' ');
        ego_buf_char(text, capital ? (char)(*tag - 'A' + 'a') : *tag);
    }
}

void ego_qfvs_prompt(ego_qfvs_words words, const char *a, const char *b, ego_buf *text) {
    if (!a) a = b, b = NULL;
    if (words == EGO_QFVS_NARRATION) {
        ego_buf_text(text, "#C C");
        say_words(a, text);
        if (b) say_words(b, text);
        return;
    }
    ego_buf_printf(text, "There is a %s", in_words(a));
    if (b) ego_buf_printf(text, " and a %s", in_words(b));
}
