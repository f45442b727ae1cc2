/* The numbers of a head, by the table of its kind. */
#include "model/head.h"

#include <string.h>

static int64_t *number(const ego_head_key *key, ego_head_config *config) {
    return (int64_t *)(void *)((char *)config + key->offset);
}

ego_head_config ego_head_config_default(const ego_head_kind *kind) {
    ego_head_config config;
    memset(&config, 0, sizeof config);
    for (size_t i = 0; i < kind->key_count; i++)
        *number(&kind->keys[i], &config) = kind->keys[i].initial;
    return config;
}

static ego_err read_member(const ego_head_kind *kind, const ego_json *member,
                           ego_head_config *config) {
    for (size_t i = 0; i < kind->key_count; i++) {
        const ego_head_key *key = &kind->keys[i];
        if (strcmp(key->name, ego_json_key(member)) != 0) continue;
        if (ego_json_integer(member, number(key, config))) return EGO_OK;
        return ego_fail(EGO_EINPUT, "%s: expected a whole number, found %s", key->name,
                        ego_json_kind(member));
    }
    return ego_fail(EGO_EINPUT, "'%s' is no key of a %s head", ego_json_key(member), kind->name);
}

ego_err ego_head_config_read(const ego_head_kind *kind, const ego_json *object,
                             ego_head_config *config) {
    ego_head_config read = *config;
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EINPUT, "a head's configuration: expected an object, found %s",
                        ego_json_kind(object));
    for (const ego_json *x = ego_json_first(object); x; x = ego_json_next(x))
        EGO_TRY(read_member(kind, x, &read));
    EGO_TRY(ego_head_config_check(kind, &read));
    *config = read;
    return EGO_OK;
}

ego_err ego_head_config_check(const ego_head_kind *kind, const ego_head_config *config) {
    ego_head_config copy = *config;
    for (size_t i = 0; i < kind->key_count; i++) {
        const ego_head_key *key = &kind->keys[i];
        int64_t value = *number(key, &copy);
        if (value < key->least || value > key->most)
            return ego_fail(EGO_EINPUT, "%s: expected %lld to %lld, found %lld", key->name,
                            (long long)key->least, (long long)key->most, (long long)value);
    }
    return kind->check(config);
}

void ego_head_config_write(const ego_head_kind *kind, const ego_head_config *config, ego_buf *out) {
    ego_head_config copy = *config;
    ego_buf_char(out, '{');
    for (size_t i = 0; i < kind->key_count; i++) {
        ego_buf_json_key(out, kind->keys[i].name);
        ego_buf_printf(out, "%lld", (long long)*number(&kind->keys[i], &copy));
    }
    ego_buf_char(out, '}');
}

/* How many layers there are: '#' of the pattern stands for 0, 1, … */
static int64_t count_layers(const ego_weights *weights, const ego_head_key *key) {
    const char *hash = strchr(key->tensor, '#');
    int64_t n = 0;
    ego_buf name = {0};
    for (bool there = true; there && n <= key->most; n += there) {
        ego_buf_clear(&name);
        ego_buf_printf(&name, "%.*s%lld%s", (int)(hash - key->tensor), key->tensor, (long long)n,
                       hash + 1);
        there = !name.failed && ego_weights_find(weights, name.data);
    }
    ego_buf_release(&name);
    return n;
}

ego_head_config ego_head_config_from_shapes(const ego_head_kind *kind, const ego_weights *weights) {
    ego_head_config config = ego_head_config_default(kind);
    for (size_t i = 0; i < kind->key_count; i++) {
        const ego_head_key *key = &kind->keys[i];
        const ego_tensor *t = key->tensor ? ego_weights_find(weights, key->tensor) : NULL;
        if (key->dim == EGO_HEAD_COUNT)
            *number(key, &config) = count_layers(weights, key);
        else if (t && t->ndim > key->dim)
            *number(key, &config) = t->shape[key->dim];
    }
    return config;
}
