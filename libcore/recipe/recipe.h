/* A recipe: a training that has a name. Its configuration, what a run would be, the run.
 *
 *     ego_recipe_init(recipe, config)                  recipe->size bytes of the caller's; the defaults
 *         → ego_recipe_read_file, ego_recipe_override  as often as it takes; the last word wins
 *         → ego_recipe_check → recipe->plan or recipe->train → ego_recipe_release
 *
 * Each is described once, beside what it trains (qa_head.h, tune.h, …), where the structure is that `config` points
 * to: its keys are a table (recipe/settings.h). Who does not know a recipe trains with it all the same.
 */
#ifndef EGO_RECIPE_RECIPE_H
#define EGO_RECIPE_RECIPE_H

#include "base/progress.h"
#include "base/threads.h"
#include "recipe/settings.h"
#include "train/checkpoint.h"
#include "train/dist.h"

#include <signal.h>

/* What any training is given beside its configuration; all of it the caller's. */
typedef struct ego_training {
    ego_pool *pool;
    ego_dist *dist; /* NULL: one rank */
    bool resume;
    const ego_progress *progress;      /* NULL: nobody listens */
    const volatile sig_atomic_t *stop; /* see train/run.h; may be NULL */
    const ego_notice *notice;          /* bad clips, checkpoints passed over; may be NULL */
} ego_training;

enum { EGO_RECIPE_NEEDS = 6 };

typedef struct ego_recipe {
    const char *name;
    size_t size;  /* of its configuration */
    size_t texts; /* where in it the arena of its texts is */
    void (*init)(void *config);
    const ego_setting *keys; /* key_count of them */
    size_t key_count;
    const char *needs[EGO_RECIPE_NEEDS]; /* texts that it cannot do without */
    /* What a table cannot say; each may be NULL. The first two are instead of it. */
    ego_err (*read_file)(void *config, const char *path);
    ego_err (*override)(void *config, const char *word);
    ego_err (*check)(const void *config);
    /* Appends a JSON object: what a run would be. Every rank calls it. */
    ego_err (*plan)(void *config, const ego_training *with, ego_buf *line);
    /* Runs, or resumes, to the end; returns what ego_run returns. */
    ego_err (*train)(void *config, const ego_training *with);
} ego_recipe;

void ego_recipe_init(const ego_recipe *recipe, void *config);
void ego_recipe_release(const ego_recipe *recipe, void *config); /* leaves zeros */

/* path "-": stdin; word: KEY=VALUE. */
ego_err ego_recipe_read_file(const ego_recipe *recipe, void *config, const char *path);
ego_err ego_recipe_override(const ego_recipe *recipe, void *config, const char *word);
/* EGO_EINPUT naming what is missing or does not go together. */
ego_err ego_recipe_check(const ego_recipe *recipe, const void *config);
/* Appends what of it must agree for a run to be resumed. */
ego_err ego_recipe_bind(const ego_recipe *recipe, const void *config, ego_buf *binding);

#endif
