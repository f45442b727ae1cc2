#include "recipe/config.h"

#include "base/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- the keys -------------------------------------------------------------------------------- */

typedef enum kind {
    TEXT,   /* const char *; null is NULL */
    FLAG,   /* bool */
    WHOLE,  /* int64_t */
    COUNT,  /* int64_t; null is 0 */
    NUMBER, /* double */
    SINGLE, /* float */
    PAIR,   /* two doubles */
    WORD    /* an enum that counts through `words` */
} kind;

typedef struct key {
    const char *name;
    kind kind;
    bool loose; /* may change between the pieces of one run */
    size_t offset;
    double least, most; /* of numbers */
    const char *const *words;
} key;

static const char *const time_words[] = {"published", "learnable", NULL};
static const char *const fused_words[] = {"own", "dual", NULL};
static const char *const sampling_words[] = {"time", "reference", NULL};
static const char *const positives_words[] = {"noun_verb", "noun", "verb", "diagonal", NULL};
static const char *const schedule_words[] = {"cosine", "linear", "constant", NULL};

#define AT(field) offsetof(ego_train_config, field)
#define BIND false
#define LOOSE true
#define BIG 9007199254740991.0 /* 2^53 − 1: JSON's numbers are doubles */

/* In the order in which they are written; those of one object stand together, "model" before them
 * all. */
static const key keys[] = {
    {"init.text", TEXT, BIND, AT(init.text), 0, 0, NULL},
    {"init.video", TEXT, BIND, AT(init.video), 0, 0, NULL},
    {"init.from", TEXT, BIND, AT(init.from), 0, 0, NULL},
    {"init.time", WORD, BIND, AT(init.time), 0, 0, time_words},
    {"init.fused", WORD, BIND, AT(init.fused), 0, 0, fused_words},
    {"init.std", NUMBER, BIND, AT(init.std), 0, 1, NULL},
    {"init.positions", NUMBER, BIND, AT(init.positions), 0, 100, NULL},
    {"init.gate", NUMBER, BIND, AT(init.gate), -100, 100, NULL},
    {"data.annotations", TEXT, BIND, AT(data.annotations), 0, 0, NULL},
    {"data.video_root", TEXT, LOOSE, AT(data.video_root), 0, 0, NULL},
    {"data.validate", TEXT, BIND, AT(data.validate), 0, 0, NULL},
    {"data.validate_root", TEXT, LOOSE, AT(data.validate_root), 0, 0, NULL},
    {"data.validate_questions", WHOLE, BIND, AT(data.validate_questions), 0, 1e9, NULL},
    {"data.cache", TEXT, LOOSE, AT(data.cache), 0, 0, NULL},
    {"data.cache_bytes", WHOLE, LOOSE, AT(data.cache_bytes), 0, BIG, NULL},
    {"data.augment", FLAG, BIND, AT(data.augment), 0, 0, NULL},
    {"data.flip", FLAG, BIND, AT(data.flip), 0, 0, NULL},
    {"data.moments", WHOLE, BIND, AT(data.moments), 0, 1024, NULL},
    {"data.sampling", WORD, BIND, AT(data.sampling), 0, 0, sampling_words},
    {"data.max_tokens", WHOLE, BIND, AT(data.max_tokens), 3, 1 << 20, NULL},
    {"data.tokenizer", TEXT, BIND, AT(data.tokenizer), 0, 0, NULL},
    {"objectives.egonce", NUMBER, BIND, AT(objectives.egonce), 0, 1e6, NULL},
    {"objectives.mlm", NUMBER, BIND, AT(objectives.mlm), 0, 1e6, NULL},
    {"objectives.vtm", NUMBER, BIND, AT(objectives.vtm), 0, 1e6, NULL},
    {"temperature", NUMBER, BIND, AT(objectives.temperature), 1e-4, 100, NULL},
    {"positives", WORD, BIND, AT(objectives.positives), 0, 0, positives_words},
    {"hard_negatives", FLAG, BIND, AT(objectives.negatives.hard), 0, 0, NULL},
    {"scene_negatives", NUMBER, BIND, AT(scene_seconds), 0, 1e9, NULL},
    {"dropout", SINGLE, BIND, AT(objectives.dropout), 0, 0.9, NULL},
    {"optim.lr", NUMBER, BIND, AT(optim.lr), 0, 100, NULL},
    {"optim.head", NUMBER, BIND, AT(optim.head), 0, 1e6, NULL},
    {"optim.cross", NUMBER, BIND, AT(optim.cross), 0, 1e6, NULL},
    {"optim.betas", PAIR, BIND, AT(optim.adamw.beta1), 0, 0.9999999, NULL},
    {"optim.eps", NUMBER, BIND, AT(optim.adamw.eps), 0, 1, NULL},
    {"optim.weight_decay", NUMBER, BIND, AT(optim.adamw.weight_decay), 0, 100, NULL},
    {"optim.schedule", WORD, BIND, AT(optim.schedule), 0, 0, schedule_words},
    {"optim.warmup", NUMBER, BIND, AT(optim.warmup), 0, 1, NULL},
    {"run.out", TEXT, LOOSE, AT(run.out), 0, 0, NULL},
    {"run.epochs", WHOLE, BIND, AT(run.epochs), 1, 1e9, NULL},
    {"run.steps", COUNT, BIND, AT(run.steps), 1, 1e12, NULL},
    {"run.batch", WHOLE, BIND, AT(run.batch), 1, 1 << 20, NULL},
    {"run.accumulate", WHOLE, BIND, AT(run.accumulate), 1, 1 << 20, NULL},
    {"run.checkpoint_layers", FLAG, LOOSE, AT(run.checkpoint_layers), 0, 0, NULL},
    {"run.keep", WHOLE, LOOSE, AT(run.keep), 1, 1 << 20, NULL},
    {"run.checkpoint_minutes", NUMBER, LOOSE, AT(run.checkpoint_minutes), 0, 1e6, NULL},
    {"run.seed", WHOLE, BIND, AT(run.seed), 0, BIG, NULL},
    {"reference_quirks", FLAG, BIND, AT(reference_quirks), 0, 0, NULL},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

_Static_assert(offsetof(ego_adamw, beta2) == offsetof(ego_adamw, beta1) + sizeof(double),
               "optim.betas are read as a pair");
_Static_assert(sizeof(ego_time_start) == sizeof(unsigned) &&
                   sizeof(ego_sampling) == sizeof(unsigned) &&
                   sizeof(ego_positives) == sizeof(unsigned) &&
                   sizeof(ego_schedule_kind) == sizeof(unsigned),
               "words are kept as unsigned numbers");

static void *place(const key *k, ego_train_config *config) { return (char *)config + k->offset; }
static const void *value_of(const key *k, const ego_train_config *config) {
    return (const char *)config + k->offset;
}

static const key *find_key(const char *name) {
    for (size_t i = 0; i < KEYS; i++)
        if (strcmp(keys[i].name, name) == 0) return &keys[i];
    return NULL;
}

/* Whether some key is "name.…". */
static bool is_section(const char *name) {
    size_t n = strlen(name);
    for (size_t i = 0; i < KEYS; i++)
        if (strncmp(keys[i].name, name, n) == 0 && keys[i].name[n] == '.') return true;
    return false;
}

/* ---- defaults -------------------------------------------------------------------------------- */

/* What follows from other keys. */
static void settle(ego_train_config *c) {
    c->objectives.negatives.temperature = c->objectives.temperature;
    c->objectives.negatives.crossed = c->objectives.mlm_nan = c->reference_quirks;
    if (!c->sampling_given)
        c->data.sampling = c->reference_quirks ? EGO_SAMPLING_REFERENCE : EGO_SAMPLING_TIME;
}

ego_err ego_train_config_new(ego_train_config *config) {
    *config = (ego_train_config){
        .model = ego_config_default(),
        .data = {.validate_questions = 200,
                 .augment = true,
                 .flip = true,
                 .moments = 4,
                 .max_tokens = 15},
        .init = {.std = 0.02},
        .objectives = {.egonce = 1,
                       .mlm = 1,
                       .vtm = 2,
                       .temperature = 0.05,
                       .positives = EGO_POSITIVES_NOUN_VERB,
                       .negatives = {.hard = true},
                       .dropout = 0.1f},
        .scene_seconds = 60,
        .optim = {.lr = 3e-5, .head = 4, .cross = 4, .adamw = ego_adamw_default(), .warmup = 0.1},
        .run = {.epochs = 20,
                .batch = 32,
                .accumulate = 1,
                .checkpoint_layers = true,
                .keep = 3,
                .seed = 1}};
    ego_arena_init(&config->texts, 1 << 12);
    settle(config);
    return EGO_OK;
}

void ego_train_config_release(ego_train_config *config) {
    ego_arena_release(&config->texts);
    *config = (ego_train_config){0};
}

/* ---- reading --------------------------------------------------------------------------------- */

static ego_err wrong(const char *name, const char *expected, const ego_json *found) {
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %s, found %s", name, expected,
                    ego_json_kind(found));
}

static ego_err read_text(const key *k, const ego_json *node, ego_train_config *config) {
    const char **text = place(k, config);
    const char *found;
    if (ego_json_is_null(node)) return *text = NULL, EGO_OK;
    if (!ego_json_string(node, &found)) return wrong(k->name, "a path or null", node);
    if (!*found)
        return ego_fail(EGO_EINPUT, "configuration: %s: expected a path or null, found \"\"",
                        k->name);
    const char *kept = ego_arena_strdup(&config->texts, found);
    if (!kept) return ego_fail(EGO_ENOMEM, "out of memory for the configuration");
    *text = kept;
    return EGO_OK;
}

static ego_err read_pair(const key *k, const ego_json *node, ego_train_config *config) {
    double pair[2];
    const ego_json *first = ego_json_first(node), *second = first ? ego_json_next(first) : NULL;
    if (!ego_json_is_array(node) || ego_json_count(node) != 2 ||
        !ego_json_number(first, &pair[0]) || !ego_json_number(second, &pair[1]))
        return wrong(k->name, "two numbers", node);
    memcpy(place(k, config), pair, sizeof pair);
    return EGO_OK;
}

static void list_words(const key *k, char *out, size_t room) {
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; k->words[i] && n < room; i++) {
        const char *between = i == 0 ? "" : k->words[i + 1] ? ", " : " or ";
        n += (size_t)snprintf(out + n, room - n, "%s%s", between, k->words[i]);
    }
}

static ego_err read_word(const key *k, const ego_json *node, ego_train_config *config) {
    char expected[96];
    const char *found;
    list_words(k, expected, sizeof expected);
    if (!ego_json_string(node, &found)) return wrong(k->name, expected, node);
    for (unsigned i = 0; k->words[i]; i++) {
        if (strcmp(k->words[i], found) != 0) continue;
        memcpy(place(k, config), &i, sizeof i);
        return EGO_OK;
    }
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %s, found '%s'", k->name, expected,
                    found);
}

static ego_err read_single(const key *k, const ego_json *node, ego_train_config *config) {
    double number;
    if (!ego_json_number(node, &number)) return wrong(k->name, "a number", node);
    *(float *)place(k, config) = (float)number;
    return EGO_OK;
}

static ego_err check_number(const key *k, double value) {
    if (value >= k->least && value <= k->most) return EGO_OK;
    return ego_fail(EGO_EINPUT, "configuration: %s: expected %.15g to %.15g, found %.15g", k->name,
                    k->least, k->most, value);
}

static ego_err check_range(const key *k, const ego_train_config *config) {
    const void *value = value_of(k, config);
    const double *numbers = value;
    switch (k->kind) {
    case COUNT:
        if (*(const int64_t *)value == 0) break;
        /* fall through */
    case WHOLE: return check_number(k, (double)*(const int64_t *)value);
    case NUMBER: return check_number(k, *numbers);
    case SINGLE: return check_number(k, (double)*(const float *)value);
    case PAIR: EGO_TRY(check_number(k, numbers[0])); return check_number(k, numbers[1]);
    case TEXT:
    case FLAG:
    case WORD: break;
    }
    return EGO_OK;
}

static ego_err read_whole(const key *k, const ego_json *node, ego_train_config *config) {
    int64_t number;
    if (!ego_json_integer(node, &number))
        return wrong(k->name, k->kind == COUNT ? "a whole number or null" : "a whole number", node);
    EGO_TRY(check_number(k, (double)number)); /* a count of 0 is written null */
    *(int64_t *)place(k, config) = number;
    return EGO_OK;
}

static ego_err read_value(const key *k, const ego_json *node, ego_train_config *config) {
    ego_err err = EGO_OK;
    switch (k->kind) {
    case TEXT: return read_text(k, node, config);
    case WORD: err = read_word(k, node, config); break;
    case PAIR: err = read_pair(k, node, config); break;
    case SINGLE: err = read_single(k, node, config); break;
    case FLAG:
        if (!ego_json_bool(node, place(k, config))) err = wrong(k->name, "true or false", node);
        break;
    case NUMBER:
        if (!ego_json_number(node, place(k, config))) err = wrong(k->name, "a number", node);
        break;
    case COUNT:
        if (ego_json_is_null(node)) return *(int64_t *)place(k, config) = 0, EGO_OK;
        /* fall through */
    case WHOLE: err = read_whole(k, node, config); break;
    }
    if (err == EGO_OK) err = check_range(k, config);
    if (err == EGO_OK && strcmp(k->name, "data.sampling") == 0) config->sampling_given = true;
    return err;
}

static ego_err note_model_key(ego_train_config *config, const char *name) {
    for (size_t i = 0; i < config->n_model_keys; i++)
        if (strcmp(config->model_keys[i], name) == 0) return EGO_OK;
    const char *kept = ego_arena_strdup(&config->texts, name);
    if (!kept) return ego_fail(EGO_ENOMEM, "out of memory for the configuration");
    /* There is room: ego_config_read takes no more than EGO_CONFIG_KEYS different ones. */
    config->model_keys[config->n_model_keys++] = kept;
    return EGO_OK;
}

static ego_err read_model(const ego_json *node, ego_train_config *config) {
    EGO_TRY(ego_config_read(node, &config->model));
    for (const ego_json *x = ego_json_first(node); x; x = ego_json_next(x))
        EGO_TRY(note_model_key(config, ego_json_key(x)));
    return EGO_OK;
}

/* An object or a value by its name; a section's members have theirs before them. */
static ego_err read_named(const char *name, const ego_json *node, ego_train_config *config) {
    if (strcmp(name, "model") == 0) return read_model(node, config);
    const key *k = find_key(name);
    if (k) return read_value(k, node, config);
    if (!is_section(name)) return ego_fail(EGO_EINPUT, "configuration: unknown key '%s'", name);
    if (!ego_json_is_object(node)) return wrong(name, "an object", node);
    for (const ego_json *x = ego_json_first(node); x; x = ego_json_next(x)) {
        char member[128];
        int n = snprintf(member, sizeof member, "%s.%s", name, ego_json_key(x));
        k = n < (int)sizeof member ? find_key(member) : NULL;
        if (!k) return ego_fail(EGO_EINPUT, "configuration: unknown key '%s'", member);
        EGO_TRY(read_value(k, x, config));
    }
    return EGO_OK;
}

ego_err ego_train_config_read(const ego_json *object, ego_train_config *config) {
    if (!ego_json_is_object(object))
        return ego_fail(EGO_EINPUT, "configuration: expected an object, found %s",
                        ego_json_kind(object));
    for (const ego_json *x = ego_json_first(object); x; x = ego_json_next(x))
        EGO_TRY(read_named(ego_json_key(x), x, config));
    settle(config);
    return EGO_OK;
}

ego_err ego_train_config_read_file(const char *path, ego_train_config *config) {
    enum { LIMIT = 1 << 20 };
    ego_json *root;
    EGO_TRY(ego_json_read(path, LIMIT, &root));
    ego_err err = ego_train_config_read(root, config);
    ego_json_free(root);
    return err == EGO_OK ? EGO_OK : ego_fail_context(err, "%s", path);
}

ego_err ego_train_config_set(ego_train_config *config, const char *name, const char *value) {
    if (strncmp(name, "model.", 6) == 0) {
        EGO_TRY(ego_config_set(&config->model, name, value));
        return note_model_key(config, name + 6);
    }
    ego_json *node;
    const key *k = find_key(name);
    const char *text;
    EGO_TRY(ego_json_parse_word(value, &node));
    if (k && k->kind == TEXT && !ego_json_is_null(node) && !ego_json_string(node, &text)) {
        ego_json_free(node); /* a folder may be called 12 or true */
        EGO_TRY(ego_json_of_text(value, &node));
    }
    ego_err err = read_named(name, node, config);
    ego_json_free(node);
    settle(config);
    return err;
}

ego_err ego_train_config_override(ego_train_config *config, const char *word) {
    char name[64];
    const char *value;
    EGO_TRY(ego_split_setting(word, name, sizeof name, &value));
    return ego_train_config_set(config, name, value);
}

/* ---- checking -------------------------------------------------------------------------------- */

static ego_err check_paths(const ego_train_config *c) {
    if (!c->data.annotations)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.annotations: expected a path, found nothing");
    if (!c->run.out)
        return ego_fail(EGO_EINPUT, "configuration: run.out: expected a path, found nothing");
    if (c->init.from && (c->init.text || c->init.video))
        return ego_fail(EGO_EINPUT,
                        "configuration: init.from brings both encoders: leave init.%s out",
                        c->init.text ? "text" : "video");
    if (c->init.text && !c->data.tokenizer)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.tokenizer: expected the folder of the vocabulary "
                        "that init.text was trained with, found nothing");
    return EGO_OK;
}

ego_err ego_train_config_check_model(const ego_train_config *c) {
    EGO_TRY(ego_config_check(&c->model));
    if (c->objectives.vtm > 0 && c->model.fusion == EGO_FUSION_NONE)
        return ego_fail(EGO_EINPUT,
                        "configuration: objectives.vtm: expected 0, for model.fusion is none, "
                        "found %.15g",
                        c->objectives.vtm);
    int64_t room = c->model.max_positions - 2; /* positions count from 2 */
    if (c->data.max_tokens > room)
        return ego_fail(EGO_EINPUT,
                        "configuration: data.max_tokens: expected at most %lld, for "
                        "model.max_positions is %lld, found %lld",
                        (long long)room, (long long)c->model.max_positions,
                        (long long)c->data.max_tokens);
    return EGO_OK;
}

ego_err ego_train_config_check(const ego_train_config *c) {
    for (size_t i = 0; i < KEYS; i++) EGO_TRY(check_range(&keys[i], c));
    const ego_objectives *o = &c->objectives;
    if (o->egonce == 0 && o->mlm == 0 && o->vtm == 0)
        return ego_fail(EGO_EINPUT, "configuration: objectives: expected one above 0, found none");
    EGO_TRY(check_paths(c));
    return c->init.from ? EGO_OK : ego_train_config_check_model(c);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_text(const char *text, ego_buf *out) {
    if (text)
        ego_buf_json_string(out, text, strlen(text));
    else
        ego_buf_text(out, "null");
}

static void write_pair(const double *pair, ego_buf *out) {
    ego_buf_char(out, '[');
    ego_buf_json_double(out, pair[0]);
    ego_buf_char(out, ',');
    ego_buf_json_double(out, pair[1]);
    ego_buf_char(out, ']');
}

static void write_value(const key *k, const ego_train_config *config, ego_buf *out) {
    const void *value = value_of(k, config);
    unsigned word;
    switch (k->kind) {
    case TEXT: write_text(*(const char *const *)value, out); break;
    case FLAG: ego_buf_text(out, *(const bool *)value ? "true" : "false"); break;
    case COUNT:
        if (*(const int64_t *)value == 0) {
            ego_buf_text(out, "null");
            break;
        } /* fall through */
    case WHOLE: ego_buf_printf(out, "%lld", (long long)*(const int64_t *)value); break;
    case NUMBER: ego_buf_json_double(out, *(const double *)value); break;
    case SINGLE: ego_buf_json_float(out, *(const float *)value); break;
    case PAIR: write_pair(value, out); break;
    case WORD:
        memcpy(&word, value, sizeof word);
        write_text(k->words[word], out);
        break;
    }
}

static void write_all(const ego_train_config *config, bool loose, ego_buf *out) {
    const char *section = ""; /* of the key before; its name counts up to the point */
    size_t inside = 0;
    ego_buf_char(out, '{');
    ego_buf_json_key(out, "model");
    ego_config_write(&config->model, out);
    for (size_t i = 0; i < KEYS; i++) {
        const key *k = &keys[i];
        if (k->loose && !loose) continue;
        const char *point = strchr(k->name, '.');
        size_t n = point ? (size_t)(point - k->name) : 0;
        if (inside && (n != inside || memcmp(section, k->name, n) != 0)) {
            ego_buf_char(out, '}');
            inside = 0;
        }
        if (n && !inside) {
            ego_buf_printf(out, ",\"%.*s\":{", (int)n, k->name);
            section = k->name;
            inside = n;
        }
        ego_buf_json_key(out, point ? point + 1 : k->name);
        write_value(k, config, out);
    }
    ego_buf_text(out, inside ? "}}" : "}");
}

void ego_train_config_write(const ego_train_config *config, ego_buf *out) {
    write_all(config, true, out);
}

void ego_train_config_write_binding(const ego_train_config *config, ego_buf *out) {
    write_all(config, false, out);
}
