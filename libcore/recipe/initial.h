/* The model that training starts with (spec/pretrain.md, Initialisation): from nothing, with
 * encoders from RoBERTa's and ViT's files, or from a checkpoint of this model.
 *
 * The result lives in memory and needs none of the files any more. A tensor that a file must have
 * and lacks, or has in another shape, is an error that names the file and the tensor.
 *
 *   text    HuggingFace's names, with or without "roberta." before them, LayerNorm.gamma and .beta
 *           too; embeddings and layers are taken, the heads and the pooler left
 *   video   timm's names (jx_vit_base_p16_224): class token, positions, patches, blocks, norm;
 *           for another image size the positions are interpolated
 *   from    any file that ego_model_open reads; what no objective in use needs may be missing, and what
 *           the dual encoder does without, under another model.fusion than the file's: it is drawn;
 *           for another number of frames its temporal embedding is resized, and the positions as above
 *
 * Any of them may be .safetensors or PyTorch's formats, in 16 or 32 bits.
 */
#ifndef EGO_RECIPE_INITIAL_H
#define EGO_RECIPE_INITIAL_H

#include "base/arena.h"
#include "base/threads.h"
#include "format/safetensors.h"
#include "model/model.h"
#include "recipe/config.h"

typedef enum ego_origin {
    EGO_ORIGIN_START, /* drawn, or a constant */
    EGO_ORIGIN_TEXT,
    EGO_ORIGIN_VIDEO,
    EGO_ORIGIN_FROM,
    EGO_ORIGINS
} ego_origin;

typedef struct ego_initial {
    ego_model *model;              /* float32 in memory, not yet trainable */
    ego_named_tensor tokenizer[2]; /* tokenizer.vocab and .merges as a checkpoint carries them */
    size_t tokenizers;             /* 2, or 0: the model's vocabulary is the bytes */
    size_t count;                  /* parameters, in the checkpoint's order */
    const char **names;
    ego_origin *origins;
    size_t from[EGO_ORIGINS]; /* how many came from where */
    size_t left[EGO_ORIGINS]; /* how many tensors of that file were not used */
    /* private */
    ego_arena arena;
} ego_initial;

/* Reads or draws the model. config->model becomes its shape: with init.from that of the file, but
 * for the keys that were given. The seed is run.seed; the pool may be NULL. */
ego_err ego_initialise(ego_train_config *config, ego_pool *pool, ego_initial *initial);
void ego_initial_release(ego_initial *initial, ego_backend *backend); /* safe on {0} and twice */

/* The EGO_NEEDS_… paths that the objectives of a configuration go through. */
unsigned ego_objectives_need(const ego_train_config *config);

#endif
