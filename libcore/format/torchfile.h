/* Files written by torch.save (.pth, .pt, .bin), read without running anything in them.
 *
 * Two containers are read: the zip archive (PREFIX/data.pkl and one stored entry PREFIX/data/KEY per
 * storage), and the older row of pickles followed by the storages (magic number, protocol, system,
 * object, keys, then for each key an int64 count and the raw elements). The tar format before them is
 * refused with a message. Device tags ("cuda:0") mean nothing here.
 *
 * Which tensors: those of the member "state_dict", else "model_state_dict", else "model", when that is
 * a dict with tensors in it; else those of the outermost dict itself; else, when it has none, those
 * of the dicts it holds, named KEY.NAME. Everything else, and tensors of kinds we have no dtype for
 * (sparse, quantised, complex), is listed as skipped. Strides of any kind are honoured: what is not
 * contiguous, or not aligned in the file, is copied.
 *
 * Reading goes through format/weights.h; what is here is for weights.c.
 */
#ifndef EGO_FORMAT_TORCHFILE_H
#define EGO_FORMAT_TORCHFILE_H

#include "base/file.h"
#include "format/weights.h"

#include <stdbool.h>

bool ego__is_torch_zip(const ego_map *map);
bool ego__is_torch_legacy(const ego_map *map);
bool ego__is_torch_tar(const ego_map *map);

ego_err ego__read_torch_zip(ego_weights *weights);
ego_err ego__read_torch_legacy(ego_weights *weights);

#endif
