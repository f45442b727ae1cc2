/* The .safetensors format.
 *
 *     8 bytes   length of the header, little-endian
 *     header    JSON: {"__metadata__": {text: text}, NAME: {"dtype", "shape", "data_offsets": [from, to]}, …}
 *     data      the tensors one after the other; offsets count from here
 *
 * Reading goes through format/weights.h. Files written here start their data at a multiple of 64 bytes;
 * the format allows no holes, so tensors whose size is a multiple of 64 come first, each on such a
 * boundary, and the others follow by falling element size, each aligned to its element.
 */
#ifndef EGO_FORMAT_SAFETENSORS_H
#define EGO_FORMAT_SAFETENSORS_H

#include "base/err.h"
#include "base/file.h"
#include "format/weights.h"
#include "tensor/tensor.h"

typedef struct ego_named_tensor {
    const char *name;
    ego_tensor tensor;
} ego_named_tensor;

typedef struct ego_metadata {
    const char *key, *value;
} ego_metadata;

/* Gives the bytes [from, from + bytes) of tensor i. Called once per block, in order within a tensor;
 * blocks start at multiples of 1 MiB. */
typedef ego_err (*ego_safetensors_fill)(void *context, size_t i, size_t from, void *block,
                                        size_t bytes);

/* Writes the file, whole or not at all. Elements come from `fill`, or from the tensors' own data when
 * it is NULL; no more than a block is held in memory. Names must differ; NAME "__metadata__" is taken. */
ego_err ego_safetensors_write(const char *path, const ego_named_tensor *tensors, size_t count,
                              const ego_metadata *metadata, size_t metadata_count,
                              ego_safetensors_fill fill, void *context);

/* For weights.c. */
bool ego__is_safetensors(const ego_map *map);
ego_err ego__read_safetensors(ego_weights *weights);

#endif
