#include "model/trainable.h"

#include "tensor/panel.h"

#include <string.h>

typedef struct making {
    ego_model *model;
    ego_backend *backend;
    ego_param_choice *which; /* NULL: all */
    bool learns;             /* gradients, too */
} making;

static float *new_floats(ego_model *m, const ego_param *p) {
    size_t n = (size_t)ego_tensor_count(&p->value);
    return ego_arena_alloc(&m->arena, n * sizeof(float));
}

/* The value as plain float32 in memory that may be written. */
static ego_err own(ego_model *m, const ego_param_spec *spec) {
    ego_param *p = spec->param;
    const ego_tensor *t = &p->value;
    if (!m->weights && t->dtype == EGO_F32) return EGO_OK; /* made in memory */
    float *plain = new_floats(m, p);
    if (!plain) return ego_fail(EGO_ENOMEM, "out of memory for '%s'", p->name);
    if (p->panelled)
        ego_panel_unpack(t->data, t->shape[0], ego_tensor_count(t) / t->shape[0], plain);
    else
        ego_to_f32(t->data, t->dtype, plain, (size_t)ego_tensor_count(t));
    p->value.data = plain;
    p->value.dtype = EGO_F32;
    p->panelled = p->mapped = false;
    return EGO_OK;
}

static ego_err make_ready(void *context, const ego_param_spec *spec) {
    making *k = context;
    ego_param *p = spec->param;
    if (!p->value.data || p->value.data == p->constant) return EGO_OK;
    if (k->which && !k->which(k->model, p)) return EGO_OK;
    if (p->packed) k->backend->forget(k->backend, p);
    EGO_TRY(own(k->model, spec));
    if (!k->learns) return EGO_OK;
    p->grad = new_floats(k->model, p);
    if (!p->grad) return ego_fail(EGO_ENOMEM, "out of memory for the gradient of '%s'", p->name);
    memset(p->grad, 0, (size_t)ego_tensor_count(&p->value) * sizeof *p->grad);
    return EGO_OK;
}

ego_err ego_model_make_partly_trainable(ego_model *m, ego_backend *backend, ego_param_choice *which) {
    bool inflated = m->temporal.value.data != m->params->video.temporal.value.data;
    if (inflated && (!which || which(m, &m->params->video.temporal)))
        return ego_fail(EGO_EINPUT, "%s: trains with as many frames as its temporal embedding has rows, %lld",
                        m->path, (long long)m->params->video.temporal.value.shape[1]);
    making k = {m, backend, which, .learns = true};
    EGO_TRY(ego_params_visit(&m->config, m->params, make_ready, &k));
    if (inflated) return EGO_OK;
    if (m->temporal.packed) backend->forget(backend, &m->temporal);
    m->temporal = m->params->video.temporal; /* same value, same gradient */
    return EGO_OK;
}

ego_err ego_model_make_passable(ego_model *m, ego_backend *backend, ego_param_choice *which) {
    making k = {m, backend, which, .learns = false};
    return ego_params_visit(&m->config, m->params, make_ready, &k);
}

ego_err ego_model_make_trainable(ego_model *m, ego_backend *backend) {
    return ego_model_make_partly_trainable(m, backend, NULL);
}

/* Whether the parameter is a member of one of the structures [from, to). */
static bool lies_in(const ego_param *p, const void *from, const void *to) {
    return (const char *)p >= (const char *)from && (const char *)p < (const char *)to;
}

bool ego_param_where_streams_meet(const ego_model *m, const ego_param *p) {
    const ego_config *c = &m->config;
    const ego_params *a = m->params;
    int64_t n = c->fuse_layers, last = n > 0 ? n - 1 : 0; /* the last text layer gives the video nothing */
    if (lies_in(p, &a->fused_norm, &a->fused_norm + 1)) return true;
    if (c->fusion == EGO_FUSION_STACKED)
        return lies_in(p, a->stack.video, a->stack.video + n) || lies_in(p, a->stack.text, a->stack.text + last);
    if (c->fusion == EGO_FUSION_NONE) return false;
    return lies_in(p, a->video.blocks + c->depth - n, a->video.blocks + c->depth) ||
           lies_in(p, a->text.layers + c->depth - n, a->text.layers + c->depth - n + last);
}

bool ego_param_text_and_where_streams_meet(const ego_model *m, const ego_param *p) {
    const ego_params *a = m->params;
    int64_t fused = m->config.fusion == EGO_FUSION_STACKED ? 0 : m->config.fuse_layers;
    return lies_in(p, &a->text, &a->text + 1) ||
           lies_in(p, a->text.layers, a->text.layers + m->config.depth - fused) ||
           ego_param_where_streams_meet(m, p);
}

static ego_err changed(void *context, const ego_param_spec *spec) {
    ego_backend *backend = context;
    backend->changed(backend, spec->param);
    return EGO_OK;
}

void ego_model_changed(ego_model *m, ego_backend *backend) {
    (void)ego_params_visit(&m->config, m->params, changed, backend);
    m->id[0] = '\0';
}

static ego_err zero(void *context, const ego_param_spec *spec) {
    (void)context;
    ego_param *p = spec->param;
    if (p->grad) memset(p->grad, 0, (size_t)ego_tensor_count(&p->value) * sizeof *p->grad);
    return EGO_OK;
}

void ego_model_zero_gradients(ego_model *m) {
    (void)ego_params_visit(&m->config, m->params, zero, NULL);
}
