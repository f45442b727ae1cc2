/* Positives of EgoNCE, and the pairs that video-text matching is asked about. n is the number of samples of
 * the whole step, on all ranks; every rank computes the same. */
#ifndef EGO_RECIPE_NEGATIVES_H
#define EGO_RECIPE_NEGATIVES_H

#include "format/annotations.h"

#include <stdbool.h>
#include <stdint.h>

/* The verbs and nouns of a narration as bits. */
typedef struct ego_tag_bits {
    uint64_t verbs[(EGO_VERB_TAGS + 63) / 64], nouns[(EGO_NOUN_TAGS + 63) / 64];
} ego_tag_bits;

ego_tag_bits ego_tag_bits_of(const ego_tags *verbs, const ego_tags *nouns);

typedef enum ego_positives {
    EGO_POSITIVES_NOUN_VERB, /* share at least one verb and one noun (equation 3's P) */
    EGO_POSITIVES_NOUN,
    EGO_POSITIVES_VERB,
    EGO_POSITIVES_DIAGONAL,
    EGO_POSITIVES_SAME /* have the same verbs and the same nouns: an apple put into a pan is not a sponge put into it */
} ego_positives;

/* positive[i·n + j]: text i and video j belong together; always when i = j. */
void ego_positive_pairs(ego_positives kind, int64_t n, const ego_tag_bits *tags, uint8_t *positive);

/* Before the floor of 1e-9: softmax(x/temperature) over row i of sim (text i to the videos), or with
 * `columns` over column i (video i to the texts); zero where positive. n weights. */
void ego_negative_weights(int64_t n, const float *sim, const uint8_t *positive, double temperature,
                          bool columns, int64_t i, double *weight);

typedef struct ego_negatives {
    bool hard;    /* drawn by similarity; else uniformly among those that do not belong together */
    bool crossed; /* the published names: a video is drawn by how similar texts are to the one it replaces */
    double temperature;
    /* Lists alone: */
    double scene;   /* the share of questions whose wrong answers are of the sample's own scene, as far as it goes */
    int64_t groups; /* scenes of a step, which knows: samples whose numbers agree modulo it are of one */
} ego_negatives;

/* Pair i: text[i] with video[i], label 1 when they belong together. n/2 (floor) samples in random order keep
 * their own; in the others the video or, as often, the text gives way to one drawn from the negatives.
 * scratch: n doubles. */
void ego_matching_pairs(const ego_negatives *how, uint64_t stream, int64_t n, const float *sim,
                        const uint8_t *positive, int64_t *text, int64_t *video, int64_t *label,
                        double *scratch);

/* Lists: question i is sample i beside `wrong` others that do not belong to it; on a coin its narration is to be found
 * among narrations of its clip's, or its clip among its narration's. Pair i·(wrong + 1) + c: c = 0 the sample itself,
 * label 1; then those drawn as above, or of its scene, none twice. Where there are fewer, they come again in that order;
 * where there is none, the sample itself does, with its label, and nothing is asked. scratch: n doubles. */
void ego_matching_choices(const ego_negatives *how, uint64_t stream, int64_t n, int64_t wrong, const float *sim,
                          const uint8_t *positive, int64_t *text, int64_t *video, int64_t *label,
                          double *scratch);

#endif
