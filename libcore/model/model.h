/* A model in memory: its file, its configuration, its parameters bound by name, its tokenizer.
 *
 * The parameters point into the mapped file; nothing is copied until a backend packs a weight at its
 * first use. A model is read by one ego_ctx at a time (packing is not thread-safe).
 */
#ifndef EGO_MODEL_MODEL_H
#define EGO_MODEL_MODEL_H

#include "base/arena.h"
#include "format/weights.h"
#include "model/config.h"
#include "model/params.h"
#include "tensor/backend.h"
#include "tensor/ops.h"
#include "text/bpe.h"

typedef struct ego_model_options {
    const char *tokenizer;        /* directory of vocab.json and merges.txt; NULL: the file's own, or bytes */
    const char *config;           /* a JSON file laid over the configuration; NULL: none */
    const char *const *overrides; /* "KEY=VALUE" on the configuration, n of them */
    size_t n_overrides;
    int64_t frames; /* frames of a clip; 0: as many as the temporal embedding has rows */
    unsigned needs; /* EGO_NEEDS_…: every tensor of these paths must be there */
} ego_model_options;

typedef struct ego_model {
    ego_config config; /* config.frames: the clip's, after inflation */
    ego_params *params;
    ego_param temporal; /* the temporal embedding for config.frames rows */
    ego_weights *weights; /* NULL for a model made in memory */
    char *path;           /* for messages */
    ego_bpe *bpe;         /* NULL when the vocabulary is too small even for bytes */
    unsigned needs;    /* paths whose parameters were checked */
    bool random;       /* the file says that its weights were never trained */
    int64_t stored_size; /* image_size of the positions in the file; config's unless they were interpolated */
    ego_arena arena;
    char id[65];       /* SHA-256, see ego_model_id; "" until asked for */
    /* Shown every state on its way, when set: video or text, after layer i, (rows, D); stacked layer k is
     * number depth + k. */
    void (*trace)(void *context, bool video, int64_t layer, const ego_tensor *state);
    void *trace_context;
} ego_model;

/* Opens a checkpoint of any format that ego_weights_open reads. A configuration comes from the file's
 * `ego.config`, else from the tensors; a sidecar NAME.json beside NAME.pth, then options.config and then
 * the overrides have the last word. They may ask for another image_size than the file's: its positions are
 * interpolated then (ego_spatial_resize). EGO_EMODEL lists what is missing of the paths in `needs`. */
ego_err ego_model_open(const char *path, const ego_model_options *options, ego_model **model);
/* A model in memory whose weights come from nothing: drawn from a seed as training starts them, by the
 * rule of golden/README.md (seed unused), or not set at all, which leaves them to the caller. */
typedef enum ego_start { EGO_START_PAPER, EGO_START_GOLDEN, EGO_START_BLANK } ego_start;
ego_err ego_model_create(const ego_config *config, ego_start start, uint64_t seed, ego_pool *pool,
                         ego_model **model);

void ego_model_close(ego_model *model, ego_backend *backend); /* takes NULL; backend frees its packing */

/* More paths than at opening: checks that their parameters are there. */
ego_err ego_model_require(ego_model *model, unsigned needs);

/* The model's name: SHA-256 over names, dtypes, shapes and bytes of the tensors in sorted order, tokenizer,
 * layout and a checkpoint's moments left out. Taken from the file where it says, else computed once and remembered in the user's
 * cache directory ($XDG_CACHE_HOME/ego or ~/.cache/ego; not being able to write there is no error). */
ego_err ego_model_id(ego_model *model, const char **id);

/* Weights of the file that no path of this configuration uses: calls visit for each, in sorted order. */
void ego_model_unused(const ego_model *model, void (*visit)(void *context, const char *name),
                      void *context);

/* The keys of safetensors' __metadata__ that Ego writes. */
#define EGO_META_CONFIG "ego.config" /* the configuration's JSON */
#define EGO_META_ID "ego.id"         /* the model's name */
#define EGO_META_LAYOUT "ego.layout" /* "panel16": linear weights are stored as tensor/panel.h lays them out */
#define EGO_META_RANDOM "ego.random" /* "true": initialised, not trained */

#endif
