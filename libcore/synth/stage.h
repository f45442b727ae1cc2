/* Where everything is in one frame: the choreography of the actions, before anything is drawn. */
#ifndef EGO_SYNTH_STAGE_H
#define EGO_SYNTH_STAGE_H

#include "synth/hands.h"
#include "synth/paint.h"
#include "synth/things.h"
#include "synth/world.h"

/* One hand: world position of its grip, what it holds and how that is turned. */
typedef struct ego_actor {
    ego_point at, elbow;
    ego_hand_shape shape;
    int thing;    /* held; -1: none */
    double turns; /* of the held thing, clockwise */
    double scale; /* of the held thing */
    int above;    /* world y below which the held thing is hidden; 0: none */
    bool shown, mirrored;
} ego_actor;

typedef struct ego_stage {
    int camera_x, camera_y;          /* the world position of the view's top left corner */
    ego_state state;                 /* before the action that is going on */
    ego_actor hands[2];              /* left, right */
    ego_actor other;                 /* the other person's */
    ego_point stand[EGO_THINGS_MAX]; /* of what is on the counter */
    double open[EGO_THINGS_MAX];
    bool cut[EGO_THINGS_MAX], filled[EGO_THINGS_MAX];
    int busy; /* the hand that acts, drawn last; -1: none */
    struct {
        bool shown;
        ego_point from, to;
    } stream; /* what is being poured */
    struct {
        bool shown;
        ego_point at;
        double strength;
    } shadow; /* of what is being lifted or set down */
} ego_stage;

void ego_stage_set(const ego_script *script, int frame, ego_stage *stage);

/* Things farther away are smaller. */
double ego_depth_scale(double world_y);

#endif
