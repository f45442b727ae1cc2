/* Training of the answer head: the first loss against double precision, frozen and learning
 * backbones told apart, the cache, what a resumed and a multi-threaded run come to. */
#include "small_world.h"

#include "base/file.h"
#include "model/save.h"
#include "model/trainable.h"
#include "recipe/qa_head.h"
#include "recipe/qa_rows.h"
#include "task/qa_head.h"

#include <unistd.h>

enum { ANSWERS = 5, QUESTIONS = 12 };

static char folder[] = "/tmp/ego-qa-train-XXXXXX";
static ego_pool *pool;

static const char *in_folder(const char *name) {
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

/* ---- a world --------------------------------------------------------------------------------- */

static void make_video(const char *name, uint64_t seed) { make_noise(in_folder(name), 40, seed, 10, 500); }

static void make_world(void) {
    ego_config c = small_config(3, 2);
    static const char *const words[] = {"what?", "which hand?", "did i wash the cup?"};
    ego_model *model = NULL;
    ego_buf json = {0};
    CHECK_OK(ego_model_create(&c, EGO_START_GOLDEN, 1, pool, &model));
    CHECK_OK(ego_model_save(model, in_folder("m.safetensors"), &(ego_save_options){0}));
    CHECK_OK(ego_model_save(model, in_folder("half.safetensors"), &(ego_save_options){.dtype = EGO_F16}));
    ego_model_close(model, NULL);
    make_video("v.mp4", 100);
    make_video("w.mp4", 900);
    ego_buf_char(&json, '[');
    for (int i = 0; i < QUESTIONS; i++)
        ego_buf_printf(&json,
                       "%s{\"interval\":\"%s|fpv1|%d|%d\",\"question\":\"%s\",\"answer_encode\":%d,"
                       "\"type\":[],"
                       "\"category\":[],\"reasoning_type\":\"world$%s\"}",
                       i ? "," : "", i % 2 ? "v" : "w", i % 4 * 20, i % 4 * 20 + 40, words[i % 3],
                       i % ANSWERS, i % 3 ? "query" : "verify");
    ego_buf_char(&json, ']');
    CHECK_OK(ego_write_file(in_folder("q.json"), json.data, json.len));
    CHECK_OK(ego_write_file(in_folder("answers"), "<UNK0>\n<UNK1>\nyes\nno\ncup\n", 26));
    ego_buf_release(&json);
}

/* ---- runs ------------------------------------------------------------------------------------ */

static const char *keep(const char *text) {
    static char room[64][256];
    static int turn;
    turn = (turn + 1) % 64;
    snprintf(room[turn], sizeof room[turn], "%s", text);
    return room[turn];
}

static ego_qa_train_config configuration(ego_qa_backbone backbone, const char *out) {
    ego_qa_train_config c;
    ego_recipe_init(&ego_recipe_qa, &c);
    c.model = keep(in_folder("m.safetensors"));
    c.data.train = c.data.validate = keep(in_folder("q.json"));
    c.data.answers = keep(in_folder("answers"));
    c.data.video_root = keep(folder);
    c.data.cache = keep(in_folder("cache"));
    c.data.interval_fps = 20;
    c.backbone = backbone;
    c.run.out = keep(in_folder(out));
    c.run.batch = QUESTIONS;
    c.run.steps = 1;
    return c;
}

/* The same with a head of moments. */
static void look_for_moments(ego_qa_train_config *c) {
    c->kind = EGO_QA_MOMENTS;
    c->moments.dim = 16;
    c->moments.heads = 2;
    c->moments.hidden = 32;
    c->moments.windows = 4;
}

static ego_err train(ego_qa_train_config *c, ego_pool *on, bool resume) {
    EGO_TRY(ego_recipe_check(&ego_recipe_qa, c));
    return ego_recipe_qa.train(c, &(ego_training){.pool = on, .resume = resume});
}

/* The numbers `key` of the log's steps (or of its validations), in order; returns how many. */
static int logged(const char *out, const char *section, const char *key, double *values, int most) {
    ego_buf text = {0};
    int n = 0;
    char path[300];
    snprintf(path, sizeof path, "%s/log.jsonl", out);
    CHECK_OK(ego_read_file(path, 1 << 20, &text));
    for (char *line = text.data; line && *line;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        size_t length = strcspn(line, "\n");
        ego_json *root = NULL;
        if (CHECK_OK(ego_json_parse(line, length, &root)) && n < most)
            n += ego_json_number(ego_json_get(ego_json_get(root, section), key), &values[n]);
        ego_json_free(root);
    }
    ego_buf_release(&text);
    return n;
}

/* The mean cross-entropy of the head in OUT over all questions, in double, from states read
 * anew. */
static double reference_loss(const char *out) {
    ego_backend *backend = NULL;
    ego_ctx cx;
    ego_model *model = NULL;
    ego_head *head = NULL;
    ego_qa_rows rows;
    char path[300];
    double sum = 0;
    ego_qa_rows_options o = {.annotations = keep(in_folder("q.json")),
                             .video_root = folder,
                             .interval_fps = 20,
                             .classes = ANSWERS};
    snprintf(path, sizeof path, "%s/head.safetensors", out);
    CHECK_OK(ego_cpu_backend_new(pool, &backend));
    ego_ctx_init(&cx, backend);
    CHECK_OK(ego_model_open(in_folder("m.safetensors"), &(ego_model_options){0}, &model));
    CHECK_OK(ego_head_open(path, &ego_head_qa, &head));
    CHECK_OK(ego_qa_rows_read(&cx, model, &o, &rows));
    CHECK(rows.count == QUESTIONS && rows.failed == 0 && rows.width == D);
    for (size_t r = 0; head && r < rows.count; r++) {
        const ego_linear_params *p = head->params.qa.projector;
        double hidden[ANSWERS], logits[ANSWERS], total = 0;
        for (int a = 0; a < ANSWERS; a++) {
            hidden[a] = ego_f32(&p[0].bias.value)[a];
            for (int c = 0; c < D; c++)
                hidden[a] +=
                    (double)ego_f32(&p[0].weight.value)[a * D + c] * rows.states[r * D + (size_t)c];
            if (hidden[a] < 0) hidden[a] = 0;
        }
        for (int a = 0; a < ANSWERS; a++) {
            logits[a] = ego_f32(&p[1].bias.value)[a];
            for (int c = 0; c < ANSWERS; c++)
                logits[a] += (double)ego_f32(&p[1].weight.value)[a * ANSWERS + c] * hidden[c];
            total += exp(logits[a]);
        }
        sum += log(total) - logits[rows.labels[r]];
    }
    ego_qa_rows_release(&rows);
    ego_head_close(head, backend);
    ego_model_close(model, backend);
    ego_ctx_release(&cx);
    ego_backend_free(backend);
    return sum / QUESTIONS;
}

/* With a rate of 0 the head that is saved is the one whose loss was told. */
static void check_losses(void) {
    double frozen = 0, fused = 0, held_out = 0;
    ego_qa_train_config c = configuration(EGO_QA_FROZEN, "still");
    c.optim.lr = 0;
    c.dropout = 0;
    CHECK_OK(train(&c, pool, false));
    CHECK(logged(c.run.out, "losses", "answer", &frozen, 1) == 1);
    CHECK(logged(c.run.out, "numbers", "loss", &held_out, 1) == 1);
    double want = reference_loss(c.run.out);
    CHECK_NEAR(frozen, want, 1e-6);
    CHECK_NEAR(held_out, want, 1e-6);
    ego_recipe_release(&ego_recipe_qa, &c);
    for (int text = 0; text < 2; text++) {
        c = configuration(text ? EGO_QA_TEXT : EGO_QA_FUSED, text ? "still-text" : "still-fused");
        c.optim.lr = 0;
        c.dropout = 0;
        CHECK_OK(train(&c, pool, false));
        CHECK(logged(c.run.out, "losses", "answer", &fused, 1) == 1);
        CHECK_NEAR(fused, want, 1e-6);
        ego_recipe_release(&ego_recipe_qa, &c);
    }
}

static bool same_files(const char *a, const char *b) {
    ego_buf x = {0}, y = {0};
    CHECK_OK(ego_read_file(a, 1 << 24, &x));
    CHECK_OK(ego_read_file(b, 1 << 24, &y));
    bool same = x.len == y.len && x.data && y.data && memcmp(x.data, y.data, x.len) == 0;
    ego_buf_release(&x);
    ego_buf_release(&y);
    return same;
}

/* Twelve questions can be learnt by heart, the better the more may learn; threads change no bit. */
static void check_learning(bool moments, ego_qa_backbone backbone, const char *out, const char *other,
                           double least) {
    double scores[64], loss[64];
    char a[300], b[300];
    ego_pool *one = NULL;
    ego_qa_train_config c = configuration(backbone, out);
    if (moments) look_for_moments(&c);
    c.optim.lr = 1e-2;
    c.dropout = 0;
    c.run.batch = 5;
    c.run.steps = 0;
    c.run.epochs = 40;
    CHECK_OK(train(&c, pool, false));
    int n = logged(c.run.out, "numbers", "all", scores, 64),
        m = logged(c.run.out, "numbers", "loss", loss, 64);
    if (!CHECK(n == 40 && scores[n - 1] >= least))
        fprintf(stderr, "    %d validations, at last %g %%, loss %g\n", n, n ? scores[n - 1] : NAN,
                m ? loss[m - 1] : NAN);
    CHECK(m == 40 && loss[m - 1] < loss[0]);
    snprintf(a, sizeof a, "%s/head.safetensors", c.run.out);
    ego_recipe_release(&ego_recipe_qa, &c);

    CHECK_OK(ego_pool_new(1, &one));
    c = configuration(backbone, other);
    if (moments) look_for_moments(&c);
    c.optim.lr = 1e-2;
    c.dropout = 0;
    c.run.batch = 5;
    c.run.steps = 0;
    c.run.epochs = 40;
    CHECK_OK(train(&c, one, false));
    snprintf(b, sizeof b, "%s/head.safetensors", c.run.out);
    CHECK(same_files(a, b));
    CHECK_ERR(EGO_EINPUT, train(&c, one, false)); /* there is a run already */
    CHECK_OK(train(&c, one, true));               /* which is over */
    CHECK(same_files(a, b));
    ego_recipe_release(&ego_recipe_qa, &c);
    ego_pool_free(one);
}

/* One file is model and head, and only what comes after the meeting has moved. */
static void check_tuned(const char *out, bool text_learns) {
    char path[300];
    ego_weights *before = NULL, *after = NULL;
    ego_head *head = NULL;
    ego_arena arena;
    ego_names names;
    size_t moved = 0, read_by_text = 0;
    snprintf(path, sizeof path, "%s/head.safetensors", out);
    CHECK_OK(ego_weights_open(in_folder("m.safetensors"), &before));
    CHECK_OK(ego_weights_open(path, &after));
    for (size_t i = 0; before && after && i < ego_weights_count(before); i++) {
        const char *name = ego_weights_name(before, i);
        const ego_tensor *x = ego_weights_tensor(before, i), *y = ego_weights_find(after, name);
        if (!CHECK(y && ego_tensor_same_shape(x, y))) continue;
        bool same = memcmp(x->data, y->data, (size_t)ego_tensor_count(x) * sizeof(float)) == 0;
        bool upper = strstr(name, "blocks.1.") || strstr(name, "blocks.2.") ||
                     strstr(name, "layer.1.") || strcmp(name, "norm.weight") == 0 ||
                     strcmp(name, "norm.bias") == 0;
        if (text_learns && (strstr(name, "text_model.embeddings.") || strstr(name, "text_model.encoder.layer.0."))) {
            read_by_text += !same;
            continue;
        }
        moved += !same;
        if (!upper && !same) fprintf(stderr, "    %s has moved\n", name);
        CHECK(upper || same);
    }
    CHECK(moved > 20 && (read_by_text > 15) == text_learns);
    CHECK(ego_qa_head_inside(after));
    ego_weights_close(before);
    ego_weights_close(after);
    ego_arena_init(&arena, 1 << 10);
    if (CHECK_OK(ego_head_open(path, &ego_head_qa, &head))) {
        CHECK_OK(ego_qa_head_answers(head, NULL, &arena, &names));
        CHECK(names.count == ANSWERS);
    }
    ego_head_close(head, NULL);
    ego_arena_release(&arena);
}

/* A head alone, or one file with the model; of that only the dual encoder's text has moved. */
static void check_moments(const char *out, bool text_learns) {
    char path[300];
    ego_weights *before = NULL, *after = NULL;
    ego_head *head = NULL;
    size_t moved = 0;
    snprintf(path, sizeof path, "%s/head.safetensors", out);
    CHECK_OK(ego_weights_open(in_folder("m.safetensors"), &before));
    CHECK_OK(ego_weights_open(path, &after));
    CHECK(ego_qa_head_inside(after));
    for (size_t i = 0; before && after && i < ego_weights_count(before); i++) {
        const char *name = ego_weights_name(before, i);
        const ego_tensor *x = ego_weights_tensor(before, i), *y = ego_weights_find(after, name);
        CHECK((y != NULL) == text_learns);
        bool same = !y || memcmp(x->data, y->data, (size_t)ego_tensor_count(x) * sizeof(float)) == 0;
        CHECK(same || ((strstr(name, "text_model.") && !strstr(name, "cross")) || strstr(name, "txt_proj.")));
        moved += !same;
    }
    CHECK((moved > 30) == text_learns);
    if (CHECK_OK(ego_qa_head_open(path, &head))) CHECK(ego_qa_head_windows(head) == 4);
    ego_head_close(head, NULL);
    ego_weights_close(before);
    ego_weights_close(after);
}

/* Models ship in 16 bits; gradients pass through what stays as it is. */
static void check_half(void) {
    for (int text = 0; text < 2; text++) {
        double loss[2];
        ego_qa_train_config c = configuration(text ? EGO_QA_TEXT : EGO_QA_FROZEN, text ? "half-text" : "half");
        look_for_moments(&c);
        c.model = keep(in_folder("half.safetensors"));
        c.run.steps = 2;
        CHECK_OK(train(&c, pool, false));
        CHECK(logged(c.run.out, "losses", "answer", loss, 2) == 2 && isfinite(loss[0]) && isfinite(loss[1]));
        ego_recipe_release(&ego_recipe_qa, &c);
    }
}

static void check_refusals(void) {
    ego_qa_train_config c = configuration(EGO_QA_FUSED, "refused");
    look_for_moments(&c);
    CHECK_ERR(EGO_EINPUT, train(&c, pool, false));
    CHECK(strstr(ego_err_message(), "expected frozen or text") != NULL);
    ego_recipe_release(&ego_recipe_qa, &c);
    c = configuration(EGO_QA_FROZEN, "refused");
    c.model = NULL;
    CHECK_ERR(EGO_EINPUT, train(&c, pool, false));
    CHECK(strstr(ego_err_message(), "model") != NULL);
    c.model = keep(in_folder("m.safetensors"));
    CHECK_OK(ego_write_file(in_folder("four"), "a\nb\nc\nd\n", 8));
    c.data.answers = keep(in_folder("four"));
    CHECK_ERR(EGO_EINPUT, train(&c, pool, false));
    CHECK(strstr(ego_err_message(), "element 4: expected an answer_encode below 4") != NULL);
    c.data.answers = keep(in_folder("answers"));
    c.data.video_root = keep(in_folder("nowhere"));
    c.data.cache = NULL;
    CHECK_ERR(EGO_EINPUT, train(&c, pool, false));
    CHECK(strstr(ego_err_message(), "found none of 12") != NULL);
    ego_recipe_release(&ego_recipe_qa, &c);
}

int main(void) {
    char remove_all[64];
    if (!CHECK(mkdtemp(folder) != NULL)) return check_done();
    CHECK_OK(ego_pool_new(2, &pool));
    make_world();
    check_losses();
    check_learning(false, EGO_QA_FROZEN, "frozen", "frozen-1", 20);
    check_learning(false, EGO_QA_FUSED, "fused", "fused-1", 70);
    check_learning(false, EGO_QA_TEXT, "text", "text-1", 70);
    check_learning(true, EGO_QA_FROZEN, "moments", "moments-1", 60);
    check_learning(true, EGO_QA_TEXT, "moments-text", "moments-text-1", 60);
    check_half();
    check_moments(in_folder("moments"), false);
    check_moments(in_folder("moments-text"), true);
    check_tuned(in_folder("fused"), false);
    check_tuned(in_folder("text"), true);
    check_refusals();
    ego_pool_free(pool);
    snprintf(remove_all, sizeof remove_all, "rm -rf '%s'", folder);
    CHECK(system(remove_all) == 0);
    return check_done();
}
