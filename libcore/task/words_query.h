/* Words as a query: a text embedded as the targets are that it is to be compared with. */
#ifndef EGO_TASK_WORDS_QUERY_H
#define EGO_TASK_WORDS_QUERY_H

#include "task/embed.h"
#include "task/vectors.h"

/* Of the targets' layer, as headers name it; NULL, and whatever is not "backbone": what is compared. */
ego_layer ego_query_layer(const char *layer);

/* One vector with the id and the text `words`, of unit length, called `name` in messages; longer than the model
 * takes, they are cut. The model needs EGO_NEEDS_TEXT and what the layer does; EGO_EINPUT when it has no tokenizer. */
ego_err ego_query_of_words(ego_ctx *cx, ego_model *model, const char *model_id, const char *name,
                           const char *words, const char *layer, ego_vectors *query);

#endif
