/* Hands with forearms and sleeves. The origin of every hand sprite is where it grips; the fingers point
 * up, the arm goes down. A left hand is a right one mirrored. */
#ifndef EGO_SYNTH_HANDS_H
#define EGO_SYNTH_HANDS_H

#include "synth/paint.h"

typedef enum ego_hand_shape {
    EGO_HAND_FLAT,   /* pushing, wiping, at rest */
    EGO_HAND_CUPPED, /* behind what it holds; EGO_HAND_THUMB goes over it */
    EGO_HAND_FIST,   /* closed over a handle */
    EGO_HAND_THUMB,  /* the thumb alone */
    EGO_HAND_SHAPES
} ego_hand_shape;

typedef struct ego_person {
    double skin[3], sleeve[3], accent[3]; /* 0 … 255 */
    int pattern;                          /* of the sleeve, EGO_SLEEVE_* */
    int sleeve_at;                        /* world pixels from the grip to the cuff */
} ego_person;

enum { EGO_SLEEVE_PLAIN, EGO_SLEEVE_RINGS, EGO_SLEEVE_STRIPES, EGO_SLEEVE_DOTS, EGO_SLEEVE_CHECKS };

ego_err ego_hand_paint(const ego_person *person, ego_hand_shape shape, double light,
                       ego_sprite *sprite);

#endif
