/* The name of a set of weights, in whatever file it comes. */
#ifndef EGO_MODEL_IDENTITY_H
#define EGO_MODEL_IDENTITY_H

#include "base/hash.h"
#include "format/weights.h"
#include "model/config.h"

/* False for what a file holds beside the weights: a vocabulary (tokenizer.*), and what the trainer of a
 * checkpoint goes on with (optim.*). */
bool ego_is_weight(const char *name);

/* SHA-256 over "NAME\0DTYPE\0[d, d]\0" and the elements of each weight in order of name. `config` tells
 * the true shapes of a file whose layout is panelled. */
ego_err ego_weights_id(const ego_weights *weights, const ego_config *config, char id[65]);

/* The same, weight by weight in sorted order of names; row-major elements. */
void ego_identity_add(ego_sha256 *hash, const char *name, const ego_tensor *tensor);

/* The same, remembered in the user's cache directory under the file's path, size and time. */
ego_err ego_weights_id_cached(const ego_weights *weights, const ego_config *config, char id[65]);

/* True when the file's linear weights are stored as panels. */
bool ego_weights_panelled(const ego_weights *weights);

#endif
