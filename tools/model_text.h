/* What ego-model does with texts: `tokenize` gives records their tokens, `learn-tokenizer` makes the
 * vocabulary that does. Both read the command line's files, less the command's name, and write JSON lines. */
#ifndef EGO_TOOLS_MODEL_TEXT_H
#define EGO_TOOLS_MODEL_TEXT_H

#include "cli.h"

/* By --tokenizer, else by the model's own vocabulary. EGO_ECANCELLED when there is no model: that is said. */
ego_err ego_model_tokenize(ego_cli *cli);

typedef struct ego_model_learning {
    const char *output; /* a directory, for vocab.json and merges.txt; NULL is EGO_EINPUT */
    bool force;         /* where they are there, they are written over */
    int64_t size, least; /* tokens at most; how often a pair must occur to be joined */
} ego_model_learning;

/* From EgoClip's .csv, records, and plain text a line. */
ego_err ego_model_learn(ego_cli *cli, const ego_model_learning *learning);

#endif
