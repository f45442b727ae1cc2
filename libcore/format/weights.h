/* Named arrays out of a file, whichever format they came in.
 *
 * ego_weights_open looks at the first bytes, not the name: safetensors, a zip archive or the older
 * consecutive pickles that torch.save wrote (torchfile.h says which of a checkpoint's tensors are taken).
 * Contiguous tensors that are aligned to their element size point into the mapped file, others into
 * memory the object owns; all are read-only and live until ego_weights_close. A leading "module."
 * (DistributedDataParallel) is dropped from every name that has it when the file's first name does.
 * Entries are sorted by name.
 */
#ifndef EGO_FORMAT_WEIGHTS_H
#define EGO_FORMAT_WEIGHTS_H

#include "base/err.h"
#include "tensor/tensor.h"

typedef struct ego_weights ego_weights;

ego_err ego_weights_open(const char *path, ego_weights **weights);
void ego_weights_close(ego_weights *weights); /* takes NULL */

size_t ego_weights_count(const ego_weights *weights);
const char *ego_weights_name(const ego_weights *weights, size_t i);
const ego_tensor *ego_weights_tensor(const ego_weights *weights, size_t i);
/* By name; NULL when there is none. */
const ego_tensor *ego_weights_find(const ego_weights *weights, const char *name);

/* True when a tensor's elements lie in the mapped file, false when they were copied out of it. */
bool ego_weights_is_mapped(const ego_weights *weights, const ego_tensor *tensor);

/* A value of safetensors' __metadata__ (strings only); NULL when absent or in another format. */
const char *ego_weights_metadata(const ego_weights *weights, const char *key);
/* All of them, in file order: the i-th value, its key through *key. */
size_t ego_weights_metadata_count(const ego_weights *weights);
const char *ego_weights_metadata_at(const ego_weights *weights, size_t i, const char **key);
/* "safetensors", "torch zip" or "torch legacy". */
const char *ego_weights_format(const ego_weights *weights);
const char *ego_weights_path(const ego_weights *weights);

/* What the reader passed over, for -v: one line of text each ("optimizer: dict, skipped"). */
size_t ego_weights_skipped_count(const ego_weights *weights);
const char *ego_weights_skipped(const ego_weights *weights, size_t i);

#endif
