/* What the judges of the tasks (judge_*.c) share. Inside libego only. */
#ifndef EGO_TASK_JUDGE_INSIDE_H
#define EGO_TASK_JUDGE_INSIDE_H

#include "base/arena.h"
#include "base/keys.h"
#include "format/predictions.h"
#include "format/reading.h"
#include "task/judge.h"

typedef struct ego__judge {
    const char *predictions;
    const ego_judge_options *options;
    ego_judgement *out;
    ego_arena arena; /* the truth, and the names of its units */
    ego_keys keys;   /* units of the truth; the number is the unit's */
    ego__list truth; /* an item a unit: the judge sets the size of one before the first */
    bool *asked;     /* (units), in the arena: wants a prediction */
    bool *had;       /* (units), in the arena: has had one */
} ego__judge;

#define EGO_JUDGES_DECLARE(name, units, truth) ego_err ego__judge_##name(ego__judge *judge);
EGO_JUDGES(EGO_JUDGES_DECLARE)
#undef EGO_JUDGES_DECLARE

/* A unit of the truth by its name, and its item (NULL where there are none); both are copied. A name given
 * twice is an error. */
ego_err ego__judge_unit(ego__judge *judge, const char *name, const void *item);
/* Once all units are named: the table of that many rows, `asked` all true, `had` all false. */
ego_err ego__judge_table(ego__judge *judge, size_t columns);

/* A prediction for the unit of that name. *wanted false: pass it over (it is unknown, not asked for or
 * there already; counted). Else the unit is present from now on. */
void ego__judge_place(ego__judge *judge, const char *name, size_t *unit, bool *wanted);
/* The same for a unit known by number. */
void ego__judge_place_unit(ego__judge *judge, size_t unit, bool *wanted);
/* An error line: the unit of that name stays missing. */
void ego__judge_failed(ego__judge *judge);
void ego__judge_unknown(ego__judge *judge, const char *name);

/* Memory of the arena, cleared. */
ego_err ego__judge_alloc(ego__judge *judge, size_t count, size_t size, void *pointer);

/* A member that must be there as a key: text or a number; EGO_EFORMAT says what was found. */
ego_err ego__judge_key(const ego_json *object, const char *member, char room[EGO_PREDICTION_KEY],
                       const char **key);

#endif
