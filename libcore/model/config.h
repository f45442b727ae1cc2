/* The shape of a model: `ego.config`'s "model" object, read, checked, written and guessed from tensors.
 *
 * Every key is documented in ego-formats(5). A configuration that passed ego_config_check is one the rest
 * of the model can be built on without further checks of its numbers.
 */
#ifndef EGO_MODEL_CONFIG_H
#define EGO_MODEL_CONFIG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "format/weights.h"

#include <stdint.h>

typedef enum ego_fusion {
    EGO_FUSION_NONE,
    EGO_FUSION_BACKBONE, /* gated cross-attention inside the top layers: EgoVLPv2 */
    EGO_FUSION_STACKED,  /* layers of their own on top of both encoders: what it is compared with */
    EGO_FUSION_FILM      /* in the same top layers, modulation by the other's class token (model/fusion.h) */
} ego_fusion;

/* A learned gate (the checkpoint's alpha), or one number for all of them. Stacked layers and FiLM have none. */
typedef struct ego_gate {
    bool learned;
    float value; /* when not learned: 0 switches fusion off, 1 is an ungated sum */
} ego_gate;

typedef struct ego_config {
    int64_t dim;           /* D: width of both encoders */
    int64_t heads;         /* H: D must divide by it */
    int64_t depth;         /* video blocks = text layers */
    int64_t mlp_ratio;     /* hidden width of the MLPs = mlp_ratio · D */
    int64_t patch;         /* side of a patch, pixels */
    int64_t image_size;    /* side of a frame, pixels; divides by patch */
    int64_t frames;        /* rows of the temporal embedding */
    int64_t vocab;         /* rows of the word embedding */
    int64_t max_positions; /* rows of the position embedding; positions count from 2 */
    ego_fusion fusion;
    int64_t fuse_layers; /* layers in which the streams meet: the top ones, or on top */
    ego_gate gate;
    float ensemble;        /* what a match's probability counts where a cosine is added to it; published: 1 */
    int64_t projections;   /* 3: three layers with two ReLUs between; 1: (text: ReLU, then) one layer */
    int64_t projection[3]; /* their widths */
} ego_config;

enum { EGO_CONFIG_KEYS = 14 };

/* The published full-size model (EgoVLPv2.pth): 381,611,623 parameters. */
ego_config ego_config_default(void);

/* Sets what the object's members say, on top of what `config` holds. An unknown key is an error. */
ego_err ego_config_read(const ego_json *object, ego_config *config);
/* The same of a JSON file: its member "model", or the whole object where there is none. */
ego_err ego_config_read_file(const char *path, ego_config *config);
/* One value by its key, as `--set KEY=VALUE` gives it ("fuse_layers", "3"; a leading "model." is allowed). */
ego_err ego_config_set(ego_config *config, const char *key, const char *value);
/* The same from one word, KEY=VALUE. */
ego_err ego_config_override(ego_config *config, const char *word);
/* Lets `config` have what `from` has under a key. An unknown one is an error. */
ego_err ego_config_take(ego_config *config, const char *key, const ego_config *from);
/* Appends {"dim":…,…}. */
void ego_config_write(const ego_config *config, ego_buf *out);
/* EGO_EINPUT naming the first key whose value cannot be. */
ego_err ego_config_check(const ego_config *config);

/* What the tensors of a checkpoint tell: everything but the number of heads (width / 64, at least 1), the
 * gate and the patch/image split of a checkpoint whose patches are not square. EGO_EMODEL when it is no
 * checkpoint of this model. */
ego_err ego_config_from_weights(const ego_weights *weights, ego_config *config);

/* Patches of one frame (N), tokens of a clip of F frames (1 + F·N), width of one head. */
int64_t ego_config_patches(const ego_config *config);
int64_t ego_config_tokens(const ego_config *config, int64_t frames);
int64_t ego_config_head_width(const ego_config *config);
/* True when layer i (from 0) of the encoders has cross-attention inside. */
bool ego_config_fused(const ego_config *config, int64_t layer);

#endif
