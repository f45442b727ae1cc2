#include "recipe/groups.h"

#include <stdlib.h>
#include <string.h>

/* As published; a name is of the first list that has a part of it. */
static const char *const head_parts[] = {"mlm_score", "itm_score", "txt_proj", "vid_proj", NULL};
static const char *const cross_parts[] = {"cross_modal", "i2t", "t2i", NULL};
static const char *const no_decay_parts[] = {
    "bias",       "LayerNorm.bias", "LayerNorm.weight", "norm.bias",    "norm.weight",
    "norm1.bias", "norm1.weight",   "norm2.bias",       "norm2.weight", NULL};

static bool has_any(const char *name, const char *const *parts) {
    for (size_t i = 0; parts[i]; i++)
        if (strstr(name, parts[i])) return true;
    return false;
}

ego_group ego_group_of(const char *name, bool *decay) {
    *decay = !has_any(name, no_decay_parts);
    if (has_any(name, head_parts)) return EGO_GROUP_HEAD;
    if (has_any(name, cross_parts)) return EGO_GROUP_CROSS;
    return EGO_GROUP_BASE;
}

bool ego_param_beside_encoders(const ego_model *model, const ego_param *param) {
    static const char *const projections[] = {"txt_proj", "vid_proj", NULL};
    bool decay;
    (void)model;
    return ego_group_of(param->name, &decay) != EGO_GROUP_BASE && !has_any(param->name, projections);
}

bool ego_param_of_dual_text(const ego_model *model, const ego_param *param) {
    static const char *const encoder[] = {"text_model.", NULL}, *const projection[] = {"txt_proj", NULL};
    bool decay;
    (void)model;
    if (has_any(param->name, projection)) return true;
    return has_any(param->name, encoder) && ego_group_of(param->name, &decay) != EGO_GROUP_CROSS;
}

typedef struct listing {
    ego_trained *list; /* NULL: only counting */
    size_t count;
    double scale[3]; /* by group */
} listing;

static ego_err list_one(void *context, const ego_param_spec *spec) {
    listing *l = context;
    ego_param *p = spec->param;
    if (!p->grad) return EGO_OK;
    if (l->list) {
        ego_trained one = ego_trained_of(p->name, &p->value, p->grad);
        one.lr_scale = l->scale[ego_group_of(p->name, &one.decay)];
        l->list[l->count] = one;
    }
    l->count++;
    return EGO_OK;
}

ego_err ego_trained_list(const ego_model *model, double encoders, double head, double cross,
                         ego_trained **list, size_t *count) {
    listing l = {
        .scale = {[EGO_GROUP_BASE] = encoders, [EGO_GROUP_HEAD] = head, [EGO_GROUP_CROSS] = cross}};
    EGO_TRY(ego_params_visit(&model->config, model->params, list_one, &l));
    if (l.count == 0) return ego_fail(EGO_EINPUT, "%s: no parameter has a gradient", model->path);
    l.list = calloc(l.count, sizeof *l.list);
    if (!l.list) return ego_fail(EGO_ENOMEM, "out of memory for the list of parameters");
    l.count = 0;
    (void)ego_params_visit(&model->config, model->params, list_one, &l); /* list_one never fails */
    *list = l.list;
    *count = l.count;
    return EGO_OK;
}

typedef struct leaving {
    ego_trained *next;
    unsigned needs;
} leaving;

static ego_err leave_one(void *context, const ego_param_spec *spec) {
    leaving *l = context;
    if (!spec->param->grad) return EGO_OK;
    if (!(spec->needs & l->needs)) l->next->lr_scale = 0; /* decay is a share of the rate */
    l->next++;
    return EGO_OK;
}

void ego_trained_leave(const ego_model *model, unsigned needs, ego_trained *list) {
    leaving l = {list, needs};
    (void)ego_params_visit(&model->config, model->params, leave_one, &l); /* leave_one never fails */
}
