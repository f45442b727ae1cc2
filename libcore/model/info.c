#include "model/info.h"

#include "model/params.h"

/* Shorthand for one shape of input. */
typedef struct size {
    int64_t D, ratio, F, N, T, L; /* width, MLP ratio, frames, patches, video tokens, text tokens */
} size;

static ego_cost sum(ego_cost a, ego_cost b) {
    return (ego_cost){a.linear + b.linear, a.attention + b.attention};
}
static ego_cost times(int64_t n, ego_cost a) { return (ego_cost){n * a.linear, n * a.attention}; }

/* Queries and keys of all heads together: D per pair for the scores, D for the values. */
static int64_t pairs(int64_t D, int64_t n) { return 2 * D * n; }

static ego_cost video_block(size s) {
    int64_t patches = s.F * s.N;
    return (ego_cost){(8 + 2 * s.ratio) * s.D * s.D * s.T,
                      pairs(s.D, s.T + patches * (s.F + 1)) + pairs(s.D, s.T + patches * (s.N + 1))};
}

static ego_cost text_layer(size s) {
    return (ego_cost){(4 + 2 * s.ratio) * s.D * s.D * s.L, pairs(s.D, s.L * s.L)};
}

/* Both directions of one fused layer: to text, keys and values of all video tokens; to video, of all text. */
static ego_cost cross(size s) {
    return (ego_cost){s.D * s.D * (2 * s.L + 2 * s.T) * 2, 2 * pairs(s.D, s.L * s.T)};
}

/* Both directions of one layer with FiLM: γ and β of one class token each. */
static ego_cost film(size s) { return (ego_cost){2 * 2 * s.D * s.D, 0}; }

/* One stacked layer of both modalities: self-attention, cross-attention, MLP. */
static ego_cost stacked_layer(size s) {
    int64_t both = s.T + s.L;
    return (ego_cost){(8 + 2 * s.ratio) * s.D * s.D * both,
                      pairs(s.D, s.T * s.T + s.L * s.L) + 2 * pairs(s.D, s.L * s.T)};
}

static ego_cost projection(const ego_config *c) {
    int64_t n = c->dim * c->projection[0];
    for (int64_t i = 1; i < c->projections; i++) n += c->projection[i - 1] * c->projection[i];
    return (ego_cost){n, 0};
}

static ego_cost encoders(const ego_config *c, size s) {
    ego_cost patch = {s.F * s.N * 3 * c->patch * c->patch * s.D, 0};
    return sum(patch, times(c->depth, sum(video_block(s), text_layer(s))));
}

typedef struct counting {
    int64_t all, dual;
} counting;

static ego_err count(void *context, const ego_param_spec *spec) {
    counting *n = context;
    int64_t elements = 1;
    for (int d = 0; d < spec->ndim; d++) elements *= spec->shape[d];
    n->all += elements;
    if (spec->needs & (EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
                       EGO_NEEDS_TEXT_PROJECTION))
        n->dual += elements;
    return EGO_OK;
}

static ego_err count_all(const ego_config *config, counting *n) {
    ego_arena arena;
    ego_arena_init(&arena, 0);
    ego_params *params = NULL;
    *n = (counting){0};
    ego_err err = ego_params_new(config, &arena, &params);
    if (err == EGO_OK) err = ego_params_visit(config, params, count, n);
    ego_arena_release(&arena);
    return err;
}

ego_err ego_info_of(const ego_config *c, int64_t text_tokens, ego_info *info) {
    ego_config stacked = *c;
    if (c->fusion != EGO_FUSION_NONE) stacked.fusion = EGO_FUSION_STACKED;
    counting n, n_stacked;
    EGO_TRY(count_all(c, &n));
    EGO_TRY(count_all(&stacked, &n_stacked));

    int64_t fused = c->fusion == EGO_FUSION_NONE ? 0 : c->fuse_layers;
    size s = {c->dim,    c->mlp_ratio, c->frames, ego_config_patches(c), ego_config_tokens(c, c->frames),
              text_tokens};
    ego_cost patch = {s.F * s.N * 3 * c->patch * c->patch * s.D, 0};
    ego_cost heads = {4 * s.D * s.D + 4 * s.D, 0}; /* two transforms, two poolers, two logits */
    ego_cost words = {s.L * (2 * s.D * s.D + s.D * c->vocab), 0};
    ego_cost inside = c->fusion == EGO_FUSION_FILM ? film(s) : cross(s);
    ego_cost in_backbone = sum(encoders(c, s), times(fused, inside));
    ego_cost on_top = sum(encoders(c, s), times(fused, stacked_layer(s)));
    ego_cost as_set = c->fusion == EGO_FUSION_STACKED ? on_top : in_backbone;
    *info = (ego_info){
        .parameters = n.all,
        .dual_parameters = n.dual,
        .stacked_parameters = n_stacked.all,
        .frames = s.F,
        .video_tokens = s.T,
        .text_tokens = s.L,
        .video = sum(sum(patch, times(c->depth, video_block(s))), projection(c)),
        .text = sum(times(c->depth, text_layer(s)), projection(c)),
        .match = sum(as_set, heads),
        .mlm = sum(as_set, words),
        .stacked_match = sum(on_top, heads),
        .stacked_mlm = sum(on_top, words),
    };
    return EGO_OK;
}
