/* Features on disk, so that training and trying out heads does not run the encoders again.
 *
 * A store is a folder. What one key describes is one file, KIND/HASH.safetensors, written whole or
 * not at all, with the tensor "features" and the __metadata__
 *     "ego.features"  the key as JSON: {"kind":"fused","model":…,"config":{…},"sampling":"time",
 *                     "max_tokens":30,"video":…,"start":0,"end":480,"text":…}; members that do
 *                     not matter are left out
 *     "ego.grid"      of features of a video: {"start":0,"end":480,"step":0.535,"count":897}
 * HASH is the first 32 digits of the key's SHA-256. What a file says is compared with what was
 * asked for. A video is known by its name alone: when a file changes under its name, its features
 * must be deleted.
 */
#ifndef EGO_TASK_FEATURE_STORE_H
#define EGO_TASK_FEATURE_STORE_H

#include "base/arena.h"
#include "base/err.h"
#include "task/clip_grid.h"
#include "tensor/tensor.h"

typedef struct ego_feature_key {
    const char *kind;           /* "fused": a folder's name */
    const char *model;          /* its SHA-256 name */
    const char *config;         /* its configuration in force, JSON */
    const char *sampling;       /* "time", "reference"; NULL: of a text */
    const ego_video_part *part; /* NULL: of a text */
    const char *text;           /* NULL: of a video alone */
    int64_t max_tokens;         /* of the text; 0: no limit */
} ego_feature_key;

/* Reads features into the arena. A file that is missing, damaged or of something else gives data
 * NULL and EGO_OK: it is to be made anew. grid (may be NULL) gets start, end, step and count; its
 * `at` stays NULL. */
ego_err ego_features_load(const char *store, const ego_feature_key *key, ego_arena *arena,
                          ego_tensor *features, ego_clip_grid *grid);

/* Writes them (float32, one or two dimensions), creating the folders. grid as above; NULL: of a
 * text. */
ego_err ego_features_save(const char *store, const ego_feature_key *key, const ego_tensor *features,
                          const ego_clip_grid *grid);

#endif
