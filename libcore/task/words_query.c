#include "task/words_query.h"

#include <string.h>

static ego_err embed_words(ego_ctx *cx, ego_model *model, const char *name, const char *words, ego_layer layer,
                           ego_embed_item *item, ego_tokens *tokens) {
    if (!model->bpe)
        return ego_fail(EGO_EINPUT, "%s: the model has no tokenizer: give --tokenizer DIR", name);
    size_t most = (size_t)model->config.max_positions - 2;
    EGO_TRY(ego_bpe_encode(model->bpe, words, strlen(words), most, tokens));
    EGO_TRY(ego_embed_check_tokens(model, tokens->ids, tokens->count));
    *item = (ego_embed_item){.tokens = tokens->ids, .n_tokens = tokens->count};
    ego_embed_options o = {.layer = layer, .normalize = true};
    return ego_embed(cx, model, &o, item, 1);
}

ego_layer ego_query_layer(const char *layer) {
    return layer && strcmp(layer, "backbone") == 0 ? EGO_LAYER_BACKBONE : EGO_LAYER_PROJECTED;
}

ego_err ego_query_of_words(ego_ctx *cx, ego_model *model, const char *model_id, const char *name,
                           const char *words, const char *layer, ego_vectors *query) {
    ego_embed_item item = {0};
    ego_tokens tokens = {0};
    ego_buf header = {0};
    ego_buf_text(&header, "{\"id\":");
    ego_buf_json_string(&header, words, strlen(words));
    ego_buf_json_key(&header, "text");
    ego_buf_json_string(&header, words, strlen(words));
    ego_buf_text(&header, ",\"part\":\"text\"}");
    ego_err err = ego_buf_err(&header);
    if (err == EGO_OK) err = embed_words(cx, model, name, words, ego_query_layer(layer), &item, &tokens);
    if (err == EGO_OK)
        err = ego_vectors_one(name, header.data, ego_f32(&item.text), (size_t)ego_tensor_count(&item.text),
                              model_id, layer, query);
    ego_embed_item_release(&item);
    ego_tokens_release(&tokens);
    ego_buf_release(&header);
    return err;
}
