/* What tests of clips and texts share: the shape of a model that is drawn in an instant, and a video of noise. */
#ifndef EGO_TESTS_SMALL_WORLD_H
#define EGO_TESTS_SMALL_WORLD_H

#include "check.h"

#include "base/rng.h"
#include "media/encode.h"
#include "model/config.h"

enum { SIDE = 32, FRAMES = 2, D = 32 };

/* Gates are learned; the vocabulary is the bytes. */
static inline ego_config small_config(int64_t depth, int64_t fuse_layers) {
    return (ego_config){.dim = D,
                        .heads = 2,
                        .depth = depth,
                        .mlp_ratio = 2,
                        .patch = 16,
                        .image_size = SIDE,
                        .frames = FRAMES,
                        .vocab = 300,
                        .max_positions = 40,
                        .fusion = EGO_FUSION_BACKBONE,
                        .fuse_layers = fuse_layers,
                        .gate = {.learned = true},
                        .projections = 1,
                        .projection = {D}};
}

/* Ten frames a second of noise: `grain` samples in a row are alike, and so are `still` frames. */
static inline void make_noise(const char *path, int frames, uint64_t seed, uint64_t still, uint64_t grain) {
    enum { WIDE = 48, HIGH = 32 };
    ego_encode_options options = {.width = WIDE, .height = HIGH, .fps_num = 10, .fps_den = 1};
    ego_encoder *encoder = NULL;
    ego_image image = {0};
    CHECK_OK(ego_image_new(WIDE, HIGH, &image));
    CHECK_OK(ego_encode_open(path, &options, &encoder));
    for (uint64_t f = 0; f < (uint64_t)frames; f++) {
        for (uint64_t i = 0; i < WIDE * HIGH * 3; i++)
            image.rgb[i] = (uint8_t)ego_rng_below(seed + f / still, i / grain, 256);
        CHECK_OK(ego_encode_write(encoder, &image));
    }
    CHECK_OK(ego_encode_close(encoder));
    ego_image_free(&image);
}

#endif
