/* Writing a model as .safetensors: converted, packed, with its tokenizer inside. */
#ifndef EGO_MODEL_SAVE_H
#define EGO_MODEL_SAVE_H

#include "model/model.h"

typedef struct ego_save_options {
    ego_dtype dtype;       /* EGO_F32: elements as they are; EGO_F16, EGO_BF16: floats of two and more
                              dimensions are stored so (norms, biases and gates stay as they are) */
    bool pack;             /* lay linear weights out as panels: opening needs no copy of them */
    const char *tokenizer; /* directory whose vocab.json and merges.txt go in; NULL: the model file's own */
} ego_save_options;

/* Every weight and the vocabulary of the model's file, or every parameter of a model made in memory. Of a
 * training checkpoint the model alone is written. The same weights give the same bytes. pack needs F32. */
ego_err ego_model_save(ego_model *model, const char *path, const ego_save_options *options);

#endif
