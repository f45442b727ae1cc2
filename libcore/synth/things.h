/* What things look like: one sprite per thing and state, painted when first needed. */
#ifndef EGO_SYNTH_THINGS_H
#define EGO_SYNTH_THINGS_H

#include "synth/paint.h"
#include "synth/world.h"

enum { EGO_OPEN_STEPS = 9 }; /* shut, seven in between, open */

/* How a thing looks, besides its kind and colour. */
typedef struct ego_look {
    int open; /* 0 … EGO_OPEN_STEPS - 1 */
    bool filled, cut;
} ego_look;

/* Where a kind is touched; world pixels from the middle of its base, y down. */
typedef struct ego_touch {
    ego_point grip;    /* where the hand holds it */
    ego_point work;    /* a tool's working end; the mouth of what is poured from */
    ego_point opening; /* where things go in; the middle of what is cut or scrubbed */
    double half_width; /* where a push touches it */
} ego_touch;

extern const ego_touch ego_touches[EGO_KIND_COUNT];

/* Where the lid of an openable thing is held when it is open by `open` in [0, 1]; side: -1 left, 1 right. */
ego_point ego_lid(ego_kind kind, double open, int side);

void ego_hue_rgb(ego_hue hue, double rgb[3]);

/* light: 1 is neutral daylight. */
ego_err ego_thing_paint(ego_kind kind, ego_hue hue, ego_look look, double light,
                        ego_sprite *sprite);

#endif
