/* Settings: a structure that JSON fills, described by one table of keys.
 *
 * A recipe has a structure of its own for what it lets be chosen and a table that says of each
 * member its dotted name, its kind, where it stands and between what bounds. Reading, overriding
 * by KEY=VALUE, checking, writing and comparing on --resume follow from the table. Keys of one
 * object stand together in it.
 *
 *     static const ego_setting keys[] = {
 *         {"data.train", EGO_SETTING_TEXT, EGO_SETTING_BINDS, offsetof(my_config, train)},
 *         EGO_HEAD_SETTINGS(my_config, common),
 *     };
 *     ego_settings s = {keys, sizeof keys / sizeof *keys, &config, &config.texts};
 *     EGO_TRY(ego_settings_read_file(&s, path));
 *     EGO_TRY(ego_settings_override(&s, "optim.lr=1e-4"));
 *
 * Texts are copied into the arena. Errors (EGO_EINPUT) name the key, what was expected and what
 * was found; an unknown key is one. After a failure the structure may hold some of what was
 * read.
 */
#ifndef EGO_RECIPE_SETTINGS_H
#define EGO_RECIPE_SETTINGS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "train/optim.h"
#include "train/schedule.h"

#include <stddef.h>

typedef enum ego_setting_kind {
    EGO_SETTING_TEXT,   /* const char *; null is NULL, "" is refused */
    EGO_SETTING_PATH,   /* the same, and called so in messages */
    EGO_SETTING_FLAG,   /* bool */
    EGO_SETTING_WHOLE,  /* int64_t, least … most */
    EGO_SETTING_COUNT,  /* int64_t, least … most; null is 0 */
    EGO_SETTING_NUMBER, /* double, least … most */
    EGO_SETTING_SINGLE, /* float, least … most */
    EGO_SETTING_PAIR,   /* two doubles one after the other, both least … most */
    EGO_SETTING_WORD    /* an enum that counts through `words` from 0 */
} ego_setting_kind;

/* Whether a value must be the same for a run to be resumed. */
typedef enum ego_setting_tie { EGO_SETTING_BINDS, EGO_SETTING_FREE } ego_setting_tie;

typedef struct ego_setting {
    const char *name; /* "optim.lr" */
    ego_setting_kind kind;
    ego_setting_tie tie;
    size_t offset;
    double least, most;
    const char *const *words; /* NULL at the end */
} ego_setting;

typedef struct ego_settings {
    const ego_setting *keys; /* count of them */
    size_t count;
    void *values;
    ego_arena *texts;
} ego_settings;

ego_err ego_settings_read(const ego_settings *settings, const ego_json *object);
/* One member of it, by its name: a value, or an object of values. */
ego_err ego_settings_read_member(const ego_settings *settings, const char *name, const ego_json *value);
ego_err ego_settings_read_file(const ego_settings *settings, const char *path); /* "-": stdin */
/* KEY=VALUE; the value is JSON, or a text where it is none. */
ego_err ego_settings_override(const ego_settings *settings, const char *word);
/* The same in two words. */
ego_err ego_settings_set(const ego_settings *settings, const char *key, const char *value);
/* EGO_EINPUT naming the first number that is out of its bounds: of values that were not read but put there. */
ego_err ego_settings_check(const ego_settings *settings);
/* EGO_EINPUT when a text that the recipe cannot do without is NULL. */
ego_err ego_settings_require(const ego_settings *settings, const char *name);
/* Appends {…}: every key in the table's order, or only those that bind. Reading it back gives
 * the same values. */
void ego_settings_write(const ego_settings *settings, bool binding_only, ego_buf *out);
/* The same without the braces, into an object that is open. */
void ego_settings_write_members(const ego_settings *settings, bool binding_only, ego_buf *out);

/* ---- what every training of a head lets be chosen -------------------------------------------- */

typedef struct ego_head_optim {
    double lr; /* peak */
    ego_adamw adamw;
    ego_schedule_kind schedule;
    double warmup; /* share of the steps */
} ego_head_optim;

typedef struct ego_head_run_settings {
    const char *out; /* folder of log, checkpoints and the head */
    int64_t epochs;
    int64_t steps; /* 0 (null in JSON): as many as the epochs have */
    int64_t batch;
    int64_t keep;              /* checkpoints */
    double checkpoint_minutes; /* also every so often; 0: at the end of epochs only */
    int64_t seed;
} ego_head_run_settings;

extern const char *const ego_schedule_words[]; /* "cosine", "linear", "constant", NULL */

/* clang-format off */
#define EGO__KEY(type, name, field, kind, tie, least, most, words)                                 \
    {name, EGO_SETTING_##kind, EGO_SETTING_##tie, offsetof(type, field), least, most, words}

/* Rows of a table: the members `optim` and `run` of a structure, of the two types above. */
#define EGO_HEAD_SETTINGS(type)                                                                    \
    EGO__KEY(type, "optim.lr", optim.lr, NUMBER, BINDS, 0, 100, NULL),                             \
    EGO__KEY(type, "optim.betas", optim.adamw.beta1, PAIR, BINDS, 0, 0.9999999, NULL),             \
    EGO__KEY(type, "optim.eps", optim.adamw.eps, NUMBER, BINDS, 0, 1, NULL),                       \
    EGO__KEY(type, "optim.weight_decay", optim.adamw.weight_decay, NUMBER, BINDS, 0, 100, NULL),   \
    EGO__KEY(type, "optim.schedule", optim.schedule, WORD, BINDS, 0, 0, ego_schedule_words),       \
    EGO__KEY(type, "optim.warmup", optim.warmup, NUMBER, BINDS, 0, 1, NULL),                       \
    EGO__KEY(type, "run.out", run.out, TEXT, FREE, 0, 0, NULL),                                    \
    EGO__KEY(type, "run.epochs", run.epochs, WHOLE, BINDS, 1, 1e9, NULL),                          \
    EGO__KEY(type, "run.steps", run.steps, COUNT, BINDS, 1, 1e12, NULL),                           \
    EGO__KEY(type, "run.batch", run.batch, WHOLE, BINDS, 1, 1 << 20, NULL),                        \
    EGO__KEY(type, "run.keep", run.keep, WHOLE, FREE, 1, 1 << 20, NULL),                           \
    EGO__KEY(type, "run.checkpoint_minutes", run.checkpoint_minutes, NUMBER, FREE, 0, 1e6, NULL),  \
    EGO__KEY(type, "run.seed", run.seed, WHOLE, BINDS, 0, 9007199254740991.0, NULL)
/* clang-format on */

#endif
