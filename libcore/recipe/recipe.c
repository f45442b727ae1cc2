#include "recipe/recipe.h"

#include <string.h>

static ego_settings settings_of(const ego_recipe *recipe, void *config) {
    return (ego_settings){recipe->keys, recipe->key_count, config,
                          (ego_arena *)((char *)config + recipe->texts)};
}

/* To check and to write, which change nothing. */
static ego_settings settings_in(const ego_recipe *recipe, const void *config) {
    return settings_of(recipe, (void *)(uintptr_t)config);
}

void ego_recipe_init(const ego_recipe *recipe, void *config) {
    recipe->init(config);
    ego_arena_init(settings_of(recipe, config).texts, 1 << 12);
}

void ego_recipe_release(const ego_recipe *recipe, void *config) {
    ego_arena_release(settings_of(recipe, config).texts);
    memset(config, 0, recipe->size);
}

ego_err ego_recipe_read_file(const ego_recipe *recipe, void *config, const char *path) {
    ego_settings settings = settings_of(recipe, config);
    return recipe->read_file ? recipe->read_file(config, path)
                             : ego_settings_read_file(&settings, path);
}

ego_err ego_recipe_override(const ego_recipe *recipe, void *config, const char *word) {
    ego_settings settings = settings_of(recipe, config);
    return recipe->override ? recipe->override(config, word)
                            : ego_settings_override(&settings, word);
}

ego_err ego_recipe_check(const ego_recipe *recipe, const void *config) {
    ego_settings settings = settings_in(recipe, config);
    for (size_t i = 0; i < EGO_RECIPE_NEEDS && recipe->needs[i]; i++)
        EGO_TRY(ego_settings_require(&settings, recipe->needs[i]));
    return recipe->check ? recipe->check(config) : EGO_OK;
}

ego_err ego_recipe_bind(const ego_recipe *recipe, const void *config, ego_buf *binding) {
    ego_settings settings = settings_in(recipe, config);
    ego_settings_write(&settings, true, binding);
    return ego_buf_err(binding);
}
