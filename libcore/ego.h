/* libego: first-person video, searchable and answerable by language (EgoVLPv2, ICCV 2023).
 *
 * This is the library's public interface. In short:
 *
 *     ego *e;
 *     if (ego_open("ego.safetensors", NULL, &e) != EGO_OK) { puts(ego_err_message()); return 1; }
 *     float clip[ego_dimension(e)], text[ego_dimension(e)];        // or malloc
 *     ego_clip_embedding(e, "kitchen.mp4", 12.0, 14.5, clip);
 *     ego_text_embedding(e, "#C C picks up the cup", text);
 *     printf("%f\n", ego_cosine(clip, text, ego_dimension(e)));
 *     ego_close(e);
 *
 * Every function that can fail returns an ego_err (base/err.h): EGO_OK, or a code whose message
 * ego_err_message() gives for the calling thread. Results come back through pointers and are untouched
 * on failure. The library never prints, exits or changes the locale.
 *
 * One `ego` is used by one thread at a time; it computes on threads of its own. Several may be open.
 */
#ifndef EGO_H
#define EGO_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- opening -------------------------------------------------------------------------------------------- */

typedef struct ego ego;

typedef struct ego_settings {
    unsigned threads;      /* 0: the physical cores this process may use */
    int64_t frames;        /* frames taken of a clip; 0: as many as the model was trained with */
    const char *tokenizer; /* directory of vocab.json and merges.txt; NULL: the model file's own, and
                              byte by byte when it has none */
} ego_settings;

/* Opens a model: .safetensors, or an official .pth as published. settings may be NULL. The file must stay
 * as it is until ego_close: it is mapped, not copied. */
EGO_API ego_err ego_open(const char *model, const ego_settings *settings, ego **out);
EGO_API void ego_close(ego *e); /* takes NULL */

/* "0.1.0"; messages of failures: base/err.h. */
EGO_API const char *ego_version(void);

/* ---- what was opened -------------------------------------------------------------------------------------- */

/* Elements of an embedding (4096 for the published model). */
EGO_API size_t ego_dimension(const ego *e);
/* Frames of a clip, and the side of the square that each is resized to, in pixels. */
EGO_API int64_t ego_frames(const ego *e);
EGO_API int64_t ego_image_size(const ego *e);
/* The model's name: 64 hexadecimal digits, the SHA-256 of its weights, the same in any file format. */
EGO_API ego_err ego_name(ego *e, const char **name);

/* ---- the dual encoder: embeddings that compare at once (paper, section 3.1) -------------------------------- */

/* A narration in UTF-8 → out[ego_dimension], of unit length. */
EGO_API ego_err ego_text_embedding(ego *e, const char *text, float *out);

/* The part [start, end) of a video, in seconds of its presentation → out[ego_dimension], of unit length.
 * end ≤ start means the whole file. */
EGO_API ego_err ego_clip_embedding(ego *e, const char *video, double start, double end, float *out);

/* Frames that the caller has already: rgb holds ego_frames pictures of height × width × 3 bytes, one after
 * the other → out[ego_dimension], of unit length. */
EGO_API ego_err ego_frames_embedding(ego *e, const uint8_t *rgb, int width, int height, float *out);

/* a · b / (max(‖a‖, 1e-8) · max(‖b‖, 1e-8)). */
EGO_API float ego_cosine(const float *a, const float *b, size_t n);

/* ---- the fused encoder (section 3.2): slower, looks at both together ---------------------------------------- */

/* The probability that narration and clip belong together (video-text matching). */
EGO_API ego_err ego_match_probability(ego *e, const char *video, double start, double end,
                                      const char *text, float *probability);

#ifdef __cplusplus
}
#endif

#endif
