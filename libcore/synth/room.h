/* The room: wall, counter and light, painted once per video as one picture larger than the view. */
#ifndef EGO_SYNTH_ROOM_H
#define EGO_SYNTH_ROOM_H

#include "base/err.h"
#include "media/image.h"
#include "synth/world.h"

enum { EGO_COUNTER_EDGE = 152 }; /* world y where the wall ends and the counter begins */

typedef struct ego_room {
    ego_image picture; /* EGO_WORLD_WIDTH x EGO_WORLD_HEIGHT */
    double light;      /* how bright things and hands appear; 1 is daylight */
} ego_room;

/* Wall patterns, counter patterns and colours of the two splits have nothing in common. */
ego_err ego_room_paint(uint64_t seed, ego_split split, ego_room *room);
void ego_room_release(ego_room *room); /* safe on {0} */

#endif
