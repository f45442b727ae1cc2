/* The configuration of pre-training: ego-train's JSON, read, checked and written.
 *
 * Every key is documented in ego-formats(5). What is not said has its default: the paper's
 * settings. A configuration owns its texts; those that the file leaves out or gives as null are
 * NULL. Paths are used as they stand, so relative ones start at the working directory, wherever
 * the file lies. Errors name the key with its path ("optim.lr"), what was expected and what was
 * found.
 *
 *     ego_train_config config;
 *     ego_train_config_init(&config);
 *     EGO_TRY_OUT(ego_train_config_read_file(path, &config));
 *     EGO_TRY_OUT(ego_train_config_override(&config, "optim.lr=1e-4"));
 *     EGO_TRY_OUT(ego_train_config_check(&config));
 *     …
 * out:
 *     ego_train_config_release(&config);
 */
#ifndef EGO_RECIPE_CONFIG_H
#define EGO_RECIPE_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "data/clips.h"
#include "data/rows.h"
#include "model/config.h"
#include "recipe/step.h"
#include "train/optim.h"
#include "train/schedule.h"

#include <stdbool.h>
#include <stdint.h>

/* How attention over time starts. Published: queries, keys and values at zero behind an output of
 * ones. It starts as the identity, but queries and keys, each the other's gradient, stay at zero
 * for ever, and all values stay alike: what comes of it is one mean over the frames. Learnable: an
 * output of zeros behind N(0, 0.02), which starts as the identity, too. A file (init.from) has the
 * last word. */
typedef enum ego_time_start { EGO_TIME_PUBLISHED, EGO_TIME_LEARNABLE } ego_time_start;

/* How the fused path's own class token and final norm start: as drawn or as a file has them, or as the dual
 * path's are by then, which a training of that path alone has made something of. */
typedef enum ego_fused_start { EGO_FUSED_OWN, EGO_FUSED_DUAL } ego_fused_start;

typedef struct ego_train_init {
    const char *text;  /* RoBERTa's file; NULL: from nothing */
    const char *video; /* ViT's file; NULL: from nothing */
    const char *from;  /* a checkpoint of this model; excludes the two others */
    ego_time_start time;
    ego_fused_start fused;
    double std; /* of weights drawn from a normal distribution; 0.02 suits a width of 768, 0.55/√width others */
    double positions; /* deviation of the positions of patches and frames; 0: as published, `std` and zeros. Frames are
                         heard when they are as long as the patches they are added to: at width 96 patches of length 16
                         drowned 0.6 (length 6) for 1,100 steps, and 2.4 had taught the order by step 590. With `from`
                         the frames' are drawn anew, and only those */
    double gate; /* where learned gates start that a file has not opened: 0 as published. At 0 nothing behind a gate
                    has a gradient, and matching waits until a gate has drifted away; a short run cannot wait */
} ego_train_init;

typedef struct ego_train_data {
    const char *annotations;    /* egoclip.csv; ego_train_config_check wants it */
    const char *video_root;     /* NULL: where the annotations lie is the caller's business */
    const char *validate;       /* egomcq.json; NULL: no validation */
    const char *validate_root;  /* its videos; NULL: video_root */
    int64_t validate_questions; /* after an epoch; all after the last; 0: all each time */
    const char *cache;          /* folder of prepared frames; NULL: none */
    int64_t cache_bytes;        /* the most it may hold; 0: as much as it takes */
    bool augment, flip;
    double recolor;        /* share of clips whose colours change places and whose narration tells none */
    int64_t moments;       /* instants offered a part when sampling by time; 0: any */
    ego_sampling sampling; /* EGO_SAMPLING_TIME or _REFERENCE */
    int64_t max_tokens;    /* special tokens included */
    const char *tokenizer; /* folder of a vocabulary; NULL: init.from's own, or bytes */
} ego_train_data;

typedef struct ego_train_optim {
    double lr;                    /* peak */
    double encoders, head, cross; /* times lr (recipe/groups.h); encoders 0: the dual encoder stays as it is, its
                                     projections too, and only what lies beside it learns */
    ego_adamw adamw;
    ego_schedule_kind schedule;
    double warmup; /* share of the steps */
} ego_train_optim;

typedef struct ego_train_run {
    const char *out; /* folder of log and checkpoints; ego_train_config_check wants it */
    int64_t epochs;
    int64_t steps;      /* 0 (null in JSON): as many as the epochs have */
    int64_t batch;      /* clips of a portion on one rank, before their partners are added */
    int64_t accumulate; /* portions a step */
    bool checkpoint_layers;
    int64_t keep;              /* checkpoints */
    double checkpoint_minutes; /* also every so often; 0: at the end of epochs only */
    int64_t seed;
} ego_train_run;

typedef struct ego_train_config {
    ego_config model; /* with init.from, only the keys given count (recipe/initial.h) */
    ego_train_init init;
    ego_train_data data;
    ego_objectives objectives; /* weights, choices, temperature, positives, negatives, dropout, quirks */
    double hard_after;         /* share of the steps before which negatives are drawn evenly all the same */
    double scene_seconds;      /* "scene_negatives": a partner's bin; 0: no partners */
    ego_partners partners;     /* "scene_partners": which row of that bin the first is */
    int64_t partners_per_clip; /* where there are any */
    ego_train_optim optim;
    ego_train_run run;
    bool reference_quirks;
    const char *model_keys[EGO_CONFIG_KEYS]; /* the keys of "model" that were given, each once */
    size_t n_model_keys;
    /* private */
    bool sampling_given;
    ego_arena texts;
} ego_train_config;

/* The defaults. Released by ego_train_config_release, which is safe on {0} and twice. */
void ego_train_config_init(ego_train_config *config);
void ego_train_config_release(ego_train_config *config);

/* Sets what the object's members say, on top of what `config` holds. An unknown key is an error.
 * After a failure `config` may hold some of them. */
ego_err ego_train_config_read(const ego_json *object, ego_train_config *config);
ego_err ego_train_config_read_file(const char *path, ego_train_config *config); /* "-": stdin */
/* One value by its dotted key, as `--set KEY=VALUE` gives it: ("optim.lr", "1e-4"),
 * ("model.depth", "6"). The value is JSON, or a text where it is none. */
ego_err ego_train_config_set(ego_train_config *config, const char *key, const char *value);
/* The same from one word, KEY=VALUE. */
ego_err ego_train_config_override(ego_train_config *config, const char *word);

/* EGO_EINPUT naming the first key whose value cannot be, what is missing, or what excludes one
 * another. Reading does not ask for this: a file may be completed by --set. */
ego_err ego_train_config_check(const ego_train_config *config);
/* The part of it that asks whether the model's shape is one and suits the rest: with init.from,
 * which settles the shape later, ego_train_config_check leaves it to ego_initialise. */
ego_err ego_train_config_check_model(const ego_train_config *config);

/* Appends {"model":…,…}: every key, in a fixed order, so that equal configurations give equal
 * bytes. Reading it back gives the same configuration. */
void ego_train_config_write(const ego_train_config *config, ego_buf *out);
/* The same without what may change between the pieces of one run (folders of videos, of the cache
 * and of the run, how often and how many checkpoints are kept, memory traded for time): what has
 * to agree for a run to be resumed. */
void ego_train_config_write_binding(const ego_train_config *config, ego_buf *out);

#endif
