/* A script on stage: any frame of a video as a picture, in any order.
 *
 * A scene owns its sprites and room and borrows the script. Frames depend on the script and the frame's
 * number alone: the same bytes on every machine, in whatever order they are drawn. One scene belongs to
 * one thread.
 */
#ifndef EGO_SYNTH_SCENE_H
#define EGO_SYNTH_SCENE_H

#include "base/err.h"
#include "media/image.h"
#include "synth/world.h"

typedef struct ego_scene ego_scene;

ego_err ego_scene_new(const ego_script *script, ego_scene **scene);
void ego_scene_free(ego_scene *scene); /* takes NULL */

/* Draws frame [0, script->frames) into `image` (an image or {0}), EGO_VIEW_WIDTH x EGO_VIEW_HEIGHT. */
ego_err ego_scene_draw(ego_scene *scene, int frame, ego_image *image);

#endif
