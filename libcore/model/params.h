/* The parameters of EgoVLPv2: one list of names, shapes and roles, used by everything that needs it.
 *
 * ego_params_visit walks the list in the checkpoint's order. Loading, verifying, counting, initialising and
 * converting are visitors: there is no second list. Names are those of the official checkpoint without
 * its "module." prefix; stacked fusion and FiLM, which no official checkpoint has, are named in its style:
 *   cross_modal_stack.{video,text}.I.{attn.norm, attn.qkv, attn.proj, cross.norm, cross.q, cross.kv,
 *   cross.proj, mlp.norm, mlp.fc1, mlp.fc2}.{weight,bias} and cross_modal_stack.text.norm.{weight,bias};
 *   cross_modal_film.{video,text}.I.{weight,bias}, I from 0 for the lowest layer that has it.
 */
#ifndef EGO_MODEL_PARAMS_H
#define EGO_MODEL_PARAMS_H

#include "base/arena.h"
#include "model/config.h"
#include "tensor/tensor.h"

typedef struct ego_linear_params {
    ego_param weight, bias; /* bias.value.data NULL where there is none */
} ego_linear_params;

typedef ego_linear_params ego_norm_params;

/* One TimeSformer block (section 3.1, figure 2): time, space and, in the fused layers, text. */
typedef struct ego_video_block {
    ego_norm_params norm1, norm2, norm3; /* before space, MLP, time */
    ego_linear_params time_qkv, time_proj;
    ego_linear_params space_qkv, space_proj;
    ego_linear_params fc1, fc2;
    ego_norm_params cross_norm; /* norm_i2t_i */
    ego_linear_params cross_q, cross_kv, cross_proj;
    ego_param gate; /* alpha_i2t */
    ego_linear_params film; /* (2D, D) instead of cross-attention, with fusion film */
} ego_video_block;

/* One RoBERTa layer and, in the fused layers, its cross-attention to the video. */
typedef struct ego_text_layer {
    ego_linear_params query, key, value, out;
    ego_norm_params out_norm;
    ego_linear_params fc1, fc2;
    ego_norm_params fc_norm;
    ego_linear_params cross_query, cross_key, cross_value, cross_out;
    ego_param gate; /* alpha_t2i */
    ego_linear_params film; /* likewise */
} ego_text_layer;

/* One stacked layer of one modality: three pre-norm residual steps. Keys and values of the
 * cross-attention are the other modality's. */
typedef struct ego_stacked_layer {
    ego_norm_params attn_norm, cross_norm, mlp_norm;
    ego_linear_params qkv, proj;
    ego_linear_params cross_q, cross_kv, cross_proj;
    ego_linear_params fc1, fc2;
} ego_stacked_layer;

typedef struct ego_params {
    struct {
        ego_param cls, pos, temporal; /* (1,1,D) (1,N+1,D) (1,F,D) */
        ego_linear_params patch;      /* (D,3,P,P) */
        ego_video_block *blocks;      /* depth of them */
        ego_norm_params norm;
    } video;
    struct {
        ego_param word, position, type; /* (V,D) (max_positions,D) (1,D) */
        ego_norm_params norm;
        ego_text_layer *layers;
    } text;
    ego_param fused_cls;        /* the fused path's own class token and final norm */
    ego_norm_params fused_norm;
    struct {
        ego_stacked_layer *video, *text; /* fuse_layers of them with stacked fusion, else NULL */
        ego_norm_params text_norm;       /* after the last; of the video it is fused_norm */
    } stack;
    ego_linear_params video_projection[3], text_projection[3];
    ego_linear_params text_transform, video_transform, text_pooler, video_pooler, match;
    struct {
        ego_linear_params dense, decoder;
        ego_norm_params norm;
    } mlm;
} ego_params;

/* Which path needs a parameter; several bits may be set. */
enum {
    EGO_NEEDS_VIDEO = 1,            /* the video encoder of the dual path, before its projection */
    EGO_NEEDS_TEXT = 2,             /* the text encoder of the dual path, likewise */
    EGO_NEEDS_VIDEO_PROJECTION = 4,
    EGO_NEEDS_TEXT_PROJECTION = 8,
    EGO_NEEDS_FUSED = 16, /* both encoders with what fuses them, inside or on top */
    EGO_NEEDS_VTM = 32,
    EGO_NEEDS_MLM = 64,
};

/* How a parameter starts when it comes from nothing (spec/pretrain.md, Initialisation; of heads, spec/tasks.md). */
typedef enum ego_init {
    EGO_INIT_NORMAL,  /* N(0, amount) */
    EGO_INIT_UNIFORM, /* U(±1/√fan_in), PyTorch's default for linear layers */
    EGO_INIT_XAVIER,  /* U(±√(6/(fan_in + fan_out))) (Glorot and Bengio 2010) */
    EGO_INIT_ZERO,
    EGO_INIT_ONE,
    EGO_INIT_CONSTANT /* amount */
} ego_init;

typedef struct ego_param_spec {
    const char *name;
    int ndim;
    int64_t shape[EGO_MAX_DIMS];
    unsigned needs;
    ego_init init;
    int64_t fan_in;   /* of the layer it belongs to, for EGO_INIT_UNIFORM and _XAVIER */
    bool product;     /* a weight of linear products: what ego-model convert --pack lays out in panels */
    ego_param *param; /* where it lives in the ego_params being walked */
    double amount;    /* for EGO_INIT_NORMAL and _CONSTANT */
    int64_t fan_out;  /* for EGO_INIT_XAVIER */
    bool decay;       /* of a head: weight decay applies (a model's groups are recipe/groups.h's business) */
    bool column;      /* of a head: stored (I, 1), in memory (1, I), the weight of one output: same elements */
    const ego_param *like; /* of a head: starts as a copy of this one, walked before; NULL: drawn by itself */
} ego_param_spec;

/* Makes room for the blocks and names of a configuration; the arena owns everything. */
ego_err ego_params_new(const ego_config *config, ego_arena *arena, ego_params **params);

typedef ego_err ego_param_visitor(void *context, const ego_param_spec *spec);
/* Calls visit for each parameter; stops at the first failure and returns it. */
ego_err ego_params_visit(const ego_config *config, ego_params *params, ego_param_visitor *visit,
                         void *context);

/* Whether a stored tensor can be the parameter's value: float numbers of its shape; or that a linear weight
 * laid out as panels (tensor/panel.h). */
bool ego_param_fits(const ego_param_spec *spec, const ego_tensor *stored);
bool ego_param_fits_panels(const ego_param_spec *spec, const ego_tensor *stored);

/* The value of element i of a parameter under the rule of golden/README.md. */
float ego_golden_weight(const ego_param_spec *spec, uint64_t stream, int64_t i);
/* unit("name")[i] of golden/README.md: u in [-1, 1); stream = ego_fnv1a(name). */
double ego_golden_unit(uint64_t stream, int64_t i);
/* Fills a parameter as `init` says, from a seed. */
void ego_param_init(const ego_param_spec *spec, uint64_t seed, float *out);

/* The rows a clip of n frames gets from a temporal embedding of `rows`: the first n of more, or linear
 * interpolation with the ends aligned (row k at k(rows−1)/(n−1)). in (rows, D) → out (n, D). */
void ego_temporal_resize(const float *in, int64_t rows, int64_t n, int64_t dim, float *out);

/* Positions of a grid of from × from patches for one of to × to, as ViT's are carried to another resolution
 * (Dosovitskiy et al. 2021, section 3.2): the class token's row stays, the grid is interpolated. How is as in
 * timm's resize_pos_embed: bicubic after Keys with a = −0.75, half-pixel centres, what lies outside repeating
 * the border (PyTorch: mode="bicubic", align_corners=False, antialias=False).
 * in (1 + from², D) → out (1 + to², D). */
void ego_spatial_resize(const float *in, int64_t from, int64_t to, int64_t dim, float *out);

#endif
