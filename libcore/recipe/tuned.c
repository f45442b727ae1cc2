#include "recipe/tuned.h"

#include "format/safetensors.h"
#include "recipe/groups.h"

#include <stdlib.h>
#include <string.h>

enum { VOCABULARY = 2 };

/* ---- what learns ----------------------------------------------------------------------------- */

ego_err ego_tuned_begin(ego_model *model, ego_backend *backend, ego_param_choice *which,
                        double rate, ego_tuned *tuned) {
    EGO_TRY(ego_model_make_partly_trainable(model, backend, which));
    EGO_TRY(ego_trained_list(model, 1, 1, 1, &tuned->list, &tuned->count));
    for (size_t i = 0; i < tuned->count; i++) {
        tuned->list[i].decay = true;
        tuned->list[i].lr_scale = rate;
    }
    return EGO_OK;
}

void ego_tuned_end(ego_tuned *tuned) {
    free(tuned->list);
    *tuned = (ego_tuned){0};
}

typedef struct counting {
    const ego_model *model;
    ego_param_choice *which;
    int64_t count;
} counting;

static ego_err count_one(void *context, const ego_param_spec *spec) {
    counting *c = context;
    const ego_param *p = spec->param;
    if (c->which(c->model, p) && p->value.data && p->value.data != p->constant)
        c->count += ego_tensor_count(&p->value);
    return EGO_OK;
}

ego_err ego_tuned_count(ego_model *model, ego_param_choice *which, int64_t *count) {
    counting c = {model, which, 0};
    EGO_TRY(ego_params_visit(&model->config, model->params, count_one, &c));
    *count = c.count;
    return EGO_OK;
}

/* ---- the file -------------------------------------------------------------------------------- */

typedef struct collecting {
    const ego_model *model;
    ego_named_tensor *list; /* NULL: counts only */
    size_t count;
} collecting;

static ego_err collect(void *context, const ego_param_spec *spec) {
    collecting *c = context;
    if (!spec->param->value.data || spec->param->value.data == spec->param->constant) return EGO_OK;
    if (spec->param->panelled)
        return ego_fail(EGO_EUNSUPPORTED,
                        "'%s' is laid out as panels: a model made by ego-model convert without "
                        "--pack expected",
                        spec->name);
    /* With other frames than its file has rows, the model is the one that was trained: rows for these. */
    bool rows = spec->param == &c->model->params->video.temporal;
    const ego_tensor *value = rows ? &c->model->temporal.value : &spec->param->value;
    if (c->list) c->list[c->count] = (ego_named_tensor){spec->param->name, *value};
    c->count++;
    return EGO_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ego_named_tensor *)a)->name, ((const ego_named_tensor *)b)->name);
}

static ego_err collect_all(ego_model *model, ego_head *head, collecting *c) {
    static const char *const vocabulary[VOCABULARY] = {"tokenizer.vocab", "tokenizer.merges"};
    EGO_TRY(ego_params_visit(&model->config, model->params, collect, c));
    if (head) EGO_TRY(ego_head_visit(head, collect, c));
    for (size_t i = 0; i < VOCABULARY; i++) {
        const ego_tensor *t =
            model->weights ? ego_weights_find(model->weights, vocabulary[i]) : NULL;
        if (t && c->list) c->list[c->count] = (ego_named_tensor){vocabulary[i], *t};
        c->count += t != NULL;
    }
    return EGO_OK;
}

static ego_err write_all(ego_model *model, ego_head *head, const collecting *c, const char *path) {
    ego_buf described = {0}, config = {0};
    ego_metadata *told = NULL, *all = NULL;
    size_t n = 0;
    ego_err err;
    if (head) EGO_TRY_OUT(ego_head_metadata(head, &described, &told, &n));
    ego_config_write(&model->config, &config);
    EGO_TRY_OUT(ego_buf_err(&config));
    all = realloc(told, (n + 1) * sizeof *all);
    if (!all) EGO_TRY_OUT(ego_fail(EGO_ENOMEM, "out of memory"));
    told = NULL;
    all[n] = (ego_metadata){EGO_META_CONFIG, config.data};
    err = ego_safetensors_write(path, c->list, c->count, all, n + 1, NULL, NULL);
out:
    free(told);
    free(all);
    ego_buf_release(&described);
    ego_buf_release(&config);
    return err;
}

ego_err ego_tuned_save(ego_model *model, ego_head *head, const char *path) {
    collecting c = {.model = model};
    EGO_TRY(collect_all(model, head, &c));
    c.list = calloc(c.count, sizeof *c.list);
    if (!c.list) return ego_fail(EGO_ENOMEM, "out of memory for the list of tensors");
    c.count = 0;
    ego_err err = collect_all(model, head, &c);
    if (err == EGO_OK) {
        qsort(c.list, c.count, sizeof *c.list, by_name);
        err = write_all(model, head, &c, path);
    }
    free(c.list);
    return err;
}
