/* The synthetic kitchen: what things, colours and actions there are, and the script of one video.
 *
 * A script is everything that happens in one video, decided before a single pixel is drawn: drawing
 * (scene.h) and every annotation file (annotate.h) read the same script, so annotations are true by
 * construction. ego_script_make is a pure function of its arguments.
 *
 * Positions are world pixels: x to the right, y down, on a canvas of EGO_WORLD_WIDTH by EGO_WORLD_HEIGHT
 * of which the head camera sees EGO_VIEW_WIDTH by EGO_VIEW_HEIGHT. Times are frames at EGO_SYNTH_FPS.
 */
#ifndef EGO_SYNTH_WORLD_H
#define EGO_SYNTH_WORLD_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    EGO_SYNTH_FPS = 30,
    EGO_VIEW_WIDTH = 320,
    EGO_VIEW_HEIGHT = 256,
    EGO_WORLD_WIDTH = 820,
    EGO_WORLD_HEIGHT = 392,
    EGO_SLOT_COLUMNS = 6,
    EGO_SLOT_ROWS = 2,
    EGO_SLOTS = EGO_SLOT_COLUMNS * EGO_SLOT_ROWS,
    EGO_THINGS_MAX = 10, /* in a video; at most EGO_ON_COUNTER_MAX of them on the counter at once */
    EGO_ON_COUNTER_MAX = 7,
    EGO_ACTIONS_MAX = 2048
};

typedef enum ego_kind {
    EGO_KIND_CUP,
    EGO_KIND_BOTTLE,
    EGO_KIND_BOWL,
    EGO_KIND_PLATE,
    EGO_KIND_PAN,
    EGO_KIND_KNIFE,
    EGO_KIND_SPOON,
    EGO_KIND_SPONGE,
    EGO_KIND_BOX,
    EGO_KIND_BOOK,
    EGO_KIND_PHONE,
    EGO_KIND_APPLE,
    EGO_KIND_JAR,
    EGO_KIND_KETTLE,
    EGO_KIND_SCISSORS,
    EGO_KIND_BRUSH,
    EGO_KIND_COUNT
} ego_kind;

typedef enum ego_hue {
    EGO_RED,
    EGO_ORANGE,
    EGO_YELLOW,
    EGO_GREEN,
    EGO_BLUE,
    EGO_PURPLE,
    EGO_WHITE,
    EGO_BLACK,
    EGO_HUE_COUNT
} ego_hue;

/* In pairs that differ only in the order of time, then those that differ only in speed and axis. */
typedef enum ego_verb {
    EGO_PICK_UP,
    EGO_PUT_DOWN,
    EGO_OPEN,
    EGO_CLOSE,
    EGO_PUSH_LEFT,
    EGO_PUSH_RIGHT,
    EGO_TAKE_FROM, /* the other person */
    EGO_HAND_TO,
    EGO_PUT_IN,
    EGO_TAKE_OUT,
    EGO_SHAKE, /* fast, up and down */
    EGO_WAVE,  /* slow, side to side */
    EGO_STIR,
    EGO_CUT,
    EGO_WIPE,
    EGO_SCRUB,
    EGO_POUR,
    EGO_LOOK,
    EGO_VERB_COUNT
} ego_verb;

enum { EGO_NOUN_COUNTER = 174, EGO_NOUN_ROOM = 433 }; /* tags of what is no thing */

/* What a kind is good for. */
enum {
    EGO_CAN_OPEN = 1,
    EGO_CAN_HOLD = 2,     /* small things can be put in it (a box only when open) */
    EGO_CAN_GO_IN = 4,    /* is such a small thing */
    EGO_CAN_POUR = 8,     /* can be poured from */
    EGO_CAN_RECEIVE = 16, /* can be poured into, or stirred */
    EGO_CAN_CUT = 32,     /* can be cut */
    EGO_CAN_SCRUB = 64,   /* can be scrubbed */
    EGO_LONG = 128        /* lies flat, is held by its handle */
};

typedef struct ego_kind_info {
    const char *word;        /* "cup" */
    const char *synonyms[3]; /* "mug"; NULL-terminated within three */
    unsigned abilities;
    int tag; /* noun, in EgoClip's range below 582 */
} ego_kind_info;

typedef struct ego_verb_info {
    const char *word; /* "pick up" */
    int tag;          /* verb, in EgoClip's range below 118 */
    int least, most;  /* frames it takes */
    int weight;       /* how often it is chosen where it can be done */
    double rate;      /* cycles a second of a periodic action, else 0 */
} ego_verb_info;

extern const ego_kind_info ego_kind_infos[EGO_KIND_COUNT];
extern const char *const ego_hue_words[EGO_HUE_COUNT];
extern const ego_verb_info ego_verb_infos[EGO_VERB_COUNT];

typedef enum ego_split { EGO_TRAIN, EGO_TEST } ego_split;

/* Which pairs exist in which split: each kind keeps two of the eight colours for the test set alone. */
ego_split ego_pair_split(ego_kind kind, ego_hue hue);

typedef struct ego_thing {
    ego_kind kind;
    ego_hue hue;
    int tilt; /* how a long thing lies, 1/1024 turns */
} ego_thing;

/* Where a thing is. */
typedef enum ego_where {
    EGO_ON_COUNTER, /* index: the slot */
    EGO_IN_HAND,    /* index: 0 left, 1 right */
    EGO_INSIDE,     /* index: the container */
    EGO_AWAY        /* with the other person */
} ego_where;

typedef struct ego_place {
    ego_where where;
    int index;
} ego_place;

/* The state of the world between two actions. */
typedef struct ego_state {
    ego_place place[EGO_THINGS_MAX];
    bool open[EGO_THINGS_MAX];
    int filled[EGO_THINGS_MAX]; /* 0: empty; else 1 + the thing that was poured into it last */
    int cuts[EGO_THINGS_MAX];   /* how often it was cut */
} ego_state;

typedef struct ego_action {
    ego_verb verb;
    int thing;      /* what it is done to; -1: nothing (LOOK, WIPE) */
    int second;     /* the container, or the tool (STIR, CUT, WIPE, SCRUB); -1: none */
    int hand;       /* 0 left, 1 right; of LOOK: the direction */
    int start, end; /* frames [start, end) */
    int slot;       /* PUT_DOWN, PUSH: where to; else -1 */
    int cycles;     /* of a periodic action */
    char *text;     /* the narration */
    unsigned told;  /* which details the narration tells: EGO_TOLD_* */
} ego_action;

enum { EGO_TOLD_HUE = 1, EGO_TOLD_HAND = 2, EGO_TOLD_SECOND = 4, EGO_TOLD_SECOND_HUE = 8 };

typedef struct ego_script {
    char uid[40];
    ego_split split;
    uint64_t seed; /* of this video: room, sleeves, sway */
    int frames;
    bool other_is_woman;
    char other_name; /* "the man X" */
    ego_thing things[EGO_THINGS_MAX];
    int thing_count;
    int slot_x[EGO_SLOTS], slot_y[EGO_SLOTS]; /* where a thing in that slot stands */
    ego_state initial;
    ego_action *actions; /* in time, never overlapping */
    int action_count;
} ego_script;

/* Writes the script of video `index` of a split. Release with ego_script_release. */
ego_err ego_script_make(uint64_t seed, ego_split split, int index, int frames, ego_script *script);
void ego_script_release(ego_script *script); /* safe on {0} */

/* Applies what the action changes; the thing pushed, poured … is where it will be afterwards. */
void ego_state_apply(ego_state *state, const ego_action *action);
/* The state when every action that has ended by `frame` is done. */
void ego_state_at(const ego_script *script, int frame, ego_state *state);
int ego_held_by(const ego_state *state, const ego_script *script, int hand); /* thing, or -1 */

/* When the action is narrated, in seconds: its middle. */
double ego_action_time(const ego_action *action);

/* Fills in the narration of every action (narrate.c). */
ego_err ego_narrate(ego_script *script);

/* Do the facts told by one narration hold for another action too? Each in its own script. */
bool ego_narration_fits(const ego_script *script, const ego_action *told,
                        const ego_script *other_script, const ego_action *other);

/* Fixed-order sine of `turns` whole turns: the same bits on every machine. */
double ego_turn_sin(double turns);
static inline double ego_turn_cos(double turns) { return ego_turn_sin(turns + 0.25); }

#endif
