/* ego-model: look at, check, convert, make and compare models; learn their vocabulary. */
#include "engine.h"
#include "model_text.h"

#include "format/weights.h"
#include "model/compare.h"
#include "model/head.h"
#include "model/identity.h"
#include "model/info.h"
#include "model/save.h"
#include "text/learn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *output;
static int dtype; /* index into the choices below */
static int rule;
static bool pack, force;
static int64_t text_tokens = 30, vocabulary = 50265, least_count = EGO_BPE_LEARN_LEAST;
static double tolerance;

static const ego_dtype stores[] = {EGO_F32, EGO_F16, EGO_BF16}; /* by `dtype` */

static const ego_option options[] = {
    {.name = "output", .letter = 'o', .type = EGO_OPTION_FILE, .arg = "FILE", .value = &output, .help = "convert, init: the .safetensors to write; learn-tokenizer: a directory"},
    {.name = "store", .type = EGO_OPTION_CHOICE, .arg = "same|f16|bf16", .value = &dtype, .help = "convert, init: how weights are stored"},
    {.name = "pack", .type = EGO_OPTION_FLAG, .value = &pack, .help = "convert, init: weights laid out to open at once"},
    {.name = "force", .type = EGO_OPTION_FLAG, .value = &force, .help = "overwrite what -o names"},
    {.name = "rule", .type = EGO_OPTION_CHOICE, .arg = "paper|golden", .value = &rule, .help = "init: as training starts, or by a fixed formula"},
    {.name = "tokens", .type = EGO_OPTION_INT, .arg = "N", .value = &text_tokens, .min = 1, .max = 1 << 20, .help = "info: length of the narration that is counted (30)"},
    {.name = "size", .type = EGO_OPTION_INT, .arg = "N", .value = &vocabulary, .min = EGO_BPE_BYTES_VOCAB, .max = EGO_BPE_MAX_TOKENS, .help = "learn-tokenizer: tokens at most (50265)"},
    {.name = "min-count", .type = EGO_OPTION_INT, .arg = "N", .value = &least_count, .min = 1, .max = 1e15, .help = "learn-tokenizer: how often a pair must occur to be joined (2)"},
    {.name = "tolerance", .type = EGO_OPTION_NUMBER, .arg = "X", .value = &tolerance, .min = 0, .max = 1e9, .help = "diff: relative difference that still counts as equal (0)"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-model",
    .usage = "info|verify MODEL\n"
             "convert MODEL -o FILE [--store T] [--pack] [--tokenizer DIR]\n"
             "init -o FILE [--config FILE] [--set KEY=VALUE] [--seed N]\n"
             "diff A B\n"
             "tokenize [--tokenizer DIR | -m MODEL] [RECORDS]\n"
             "learn-tokenizer -o DIR [--size N] [FILE...]",
    .summary = "Looks at, checks, converts, makes and compares models:\n"
               ".safetensors, and the official .pth checkpoints. Learns vocabularies.",
    .example = "ego-model convert EgoVLPv2.pth --tokenizer roberta-base -o ego.safetensors",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_SEED | EGO_CLI_USES_CONFIG | EGO_CLI_USES_VIDEO |
            EGO_CLI_OWN_CSV};

/* ---- info --------------------------------------------------------------------------------------------- */

static void add_cost(ego_buf *line, const char *key, ego_cost c) {
    ego_buf_json_key(line, key);
    ego_buf_printf(line, "{\"multiply_adds\":%lld,\"linear\":%lld,\"attention\":%lld}",
                   (long long)ego_cost_total(c), (long long)c.linear, (long long)c.attention);
}

static void add_count(ego_buf *line, const char *key, int64_t n) {
    ego_buf_json_key(line, key);
    ego_buf_printf(line, "%lld", (long long)n);
}

static ego_err write_info(ego_cli *cli, const char *path, const ego_model *m) {
    ego_info info;
    EGO_TRY(ego_info_of(&m->config, text_tokens, &info));
    const char *stored = m->weights ? ego_weights_metadata(m->weights, EGO_META_ID) : NULL;
    ego_buf line = {0};
    ego_buf_text(&line, "{\"file\":");
    ego_buf_json_string(&line, path, strlen(path));
    if (m->weights) {
        ego_buf_json_key(&line, "format");
        ego_buf_printf(&line, "\"%s\"", ego_weights_format(m->weights));
        add_count(&line, "tensors", (int64_t)ego_weights_count(m->weights));
    }
    if (stored) {
        ego_buf_json_key(&line, "model");
        ego_buf_json_string(&line, stored, strlen(stored));
    }
    ego_buf_json_key(&line, "config");
    ego_config_write(&m->config, &line);
    if (m->stored_size != m->config.image_size) add_count(&line, "interpolated_from", m->stored_size);
    ego_buf_json_key(&line, "vocabulary");
    ego_buf_text(&line, !m->bpe                     ? "\"none\""
                        : ego_bpe_is_bytes(m->bpe) ? "\"bytes\""
                                                   : "\"bpe\"");
    ego_buf_json_key(&line, "trained");
    ego_buf_text(&line, m->random ? "false" : "true");
    add_count(&line, "parameters", info.parameters);
    add_count(&line, "parameters_dual", info.dual_parameters);
    add_count(&line, "parameters_stacked", info.stacked_parameters);
    add_count(&line, "frames", info.frames);
    add_count(&line, "video_tokens", info.video_tokens);
    add_count(&line, "text_tokens", info.text_tokens);
    add_cost(&line, "dual_video", info.video);
    add_cost(&line, "dual_text", info.text);
    add_cost(&line, "fused_match", info.match);
    add_cost(&line, "fused_mlm", info.mlm);
    add_cost(&line, "stacked_match", info.stacked_match);
    add_cost(&line, "stacked_mlm", info.stacked_mlm);
    ego_buf_char(&line, '}');
    ego_err err = ego_buf_err(&line);
    if (err == EGO_OK) err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

/* ---- opening ------------------------------------------------------------------------------------------- */

static void note_unused(void *context, const char *name) {
    ego_cli_verbose(context, "unused: %s", name);
}

static ego_err open_model(ego_cli *cli, const char *path, unsigned needs, ego_model **model) {
    EGO_TRY(ego_model_open(path,
                           &(ego_model_options){.tokenizer = cli->tokenizer,
                                                .config = cli->config,
                                                .overrides = cli->set.items,
                                                .n_overrides = cli->set.n,
                                                .frames = cli->frames,
                                                .needs = needs},
                           model));
    for (size_t i = 0; i < ego_weights_skipped_count((*model)->weights); i++)
        ego_cli_verbose(cli, "%s: passed over %s", path, ego_weights_skipped((*model)->weights, i));
    ego_model_unused(*model, note_unused, cli);
    return EGO_OK;
}

/* ---- heads ---------------------------------------------------------------------------------------------- */

/* What may be done with a head's file, instead of what is done with a model's. */
typedef ego_err head_work(ego_cli *cli, const ego_weights *weights, ego_head *head);

/* A file that is a head, and no model, is worked on as one; *was says so. */
static ego_err as_head(ego_cli *cli, const char *path, head_work *work, bool *was) {
    ego_weights *weights;
    ego_head *head;
    EGO_TRY(ego_weights_open(path, &weights));
    *was = ego_weights_are_head(weights);
    ego_err err = *was ? ego_head_from_weights(weights, NULL, &head) : EGO_OK;
    if (*was && err == EGO_OK) {
        for (size_t i = 0; i < head->unused_count; i++) note_unused(cli, head->unused[i]);
        err = work(cli, weights, head);
        ego_head_close(head, NULL);
    }
    ego_weights_close(weights);
    return err;
}

static ego_err head_info(ego_cli *cli, const ego_weights *weights, ego_head *head) {
    ego_buf line = {0};
    ego_buf_text(&line, "{\"file\":");
    ego_buf_json_string(&line, head->path, strlen(head->path));
    ego_buf_printf(&line, ",\"format\":\"%s\"", ego_weights_format(weights));
    add_count(&line, "tensors", (int64_t)ego_weights_count(weights));
    ego_buf_printf(&line, ",\"head\":\"%s\",\"kind\":\"%s\",\"backbone\":", head->id, head->kind->name);
    if (head->backbone[0])
        ego_buf_json_string(&line, head->backbone, strlen(head->backbone));
    else
        ego_buf_text(&line, "null");
    ego_buf_json_key(&line, "config");
    ego_head_config_write(head->kind, &head->config, &line);
    ego_buf_printf(&line, ",\"trained\":%s", head->random ? "false" : "true");
    add_count(&line, "parameters", ego_head_parameters(head));
    ego_buf_char(&line, '}');
    ego_err err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err check_finite(const ego_weights *weights) {
    int64_t element;
    const char *bad = ego_weights_not_finite(weights, &element);
    if (!bad) return EGO_OK;
    return ego_fail(EGO_EMODEL, "%s: '%s': element %lld is not a finite number", ego_weights_path(weights), bad,
                    (long long)element);
}

static ego_err check_name(const ego_weights *weights, const char *id) {
    const char *stored = ego_weights_metadata(weights, EGO_META_ID);
    if (!stored || strcmp(stored, id) == 0) return EGO_OK;
    return ego_fail(EGO_EMODEL, "%s: damaged: its tensors hash to %s, the file says %s", ego_weights_path(weights), id,
                    stored);
}

static ego_err head_verify(ego_cli *cli, const ego_weights *weights, ego_head *head) {
    EGO_TRY(check_finite(weights));
    EGO_TRY(check_name(weights, head->id));
    ego_buf line = {0};
    ego_buf_text(&line, "{\"file\":");
    ego_buf_json_string(&line, head->path, strlen(head->path));
    ego_buf_printf(&line, ",\"head\":\"%s\",\"kind\":\"%s\",\"stored_name\":%s,\"missing\":0,\"unused\":%zu,\"ok\":true}",
                   head->id, head->kind->name, ego_weights_metadata(weights, EGO_META_ID) ? "true" : "false",
                   head->unused_count);
    ego_err err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err check_output(void) {
    if (!output) return ego_fail(EGO_EINPUT, "where to? give -o FILE");
    if (!force && access(output, F_OK) == 0)
        return ego_fail(EGO_EINPUT, "%s exists: --force overwrites it", output);
    return EGO_OK;
}

static ego_err head_convert(ego_cli *cli, const ego_weights *weights, ego_head *head) {
    bool written;
    (void)weights;
    if (pack || cli->tokenizer)
        return ego_fail(EGO_EUNSUPPORTED, "%s is a head: it holds no vocabulary and is not packed", head->path);
    EGO_TRY(check_output());
    EGO_TRY(ego_head_save(head, output, dtype ? stores[dtype] : head->dtype));
    return as_head(cli, output, head_info, &written); /* what was written can be read */
}

/* ---- info ------------------------------------------------------------------------------------------------- */

static ego_err info_command(ego_cli *cli, const char **args) {
    ego_model *m;
    bool head;
    EGO_TRY(as_head(cli, args[0], head_info, &head));
    if (head) return EGO_OK;
    EGO_TRY(open_model(cli, args[0], 0, &m));
    ego_err err = write_info(cli, args[0], m);
    ego_model_close(m, NULL);
    return err;
}

/* ---- verify -------------------------------------------------------------------------------------------- */

static void count_unused(void *context, const char *name) {
    (void)name;
    ++*(size_t *)context;
}

static ego_err verify(ego_cli *cli, ego_model *m) {
    unsigned needs = EGO_NEEDS_VIDEO | EGO_NEEDS_TEXT | EGO_NEEDS_VIDEO_PROJECTION |
                     EGO_NEEDS_TEXT_PROJECTION | EGO_NEEDS_MLM;
    if (m->config.fusion != EGO_FUSION_NONE) needs |= EGO_NEEDS_FUSED | EGO_NEEDS_VTM;
    EGO_TRY(ego_model_require(m, needs));
    EGO_TRY(check_finite(m->weights));
    char id[65];
    EGO_TRY(ego_weights_id(m->weights, &m->config, id));
    EGO_TRY(check_name(m->weights, id));
    size_t unused = 0;
    ego_model_unused(m, count_unused, &unused);
    ego_buf line = {0};
    ego_buf_text(&line, "{\"file\":");
    ego_buf_json_string(&line, m->path, strlen(m->path));
    ego_buf_printf(&line, ",\"model\":\"%s\",\"stored_name\":%s,\"missing\":0,\"unused\":%zu,\"ok\":true}", id,
                   ego_weights_metadata(m->weights, EGO_META_ID) ? "true" : "false", unused);
    ego_err err = ego_cli_write_line(cli, &line);
    ego_buf_release(&line);
    return err;
}

static ego_err verify_command(ego_cli *cli, const char **args) {
    ego_model *m;
    bool head;
    EGO_TRY(as_head(cli, args[0], head_verify, &head));
    if (head) return EGO_OK;
    EGO_TRY(open_model(cli, args[0], 0, &m));
    ego_err err = verify(cli, m);
    ego_model_close(m, NULL);
    return err;
}

/* ---- convert and init ------------------------------------------------------------------------------------ */

static ego_err save(ego_cli *cli, ego_model *m) {
    EGO_TRY(check_output());
    EGO_TRY(ego_model_save(m, output, &(ego_save_options){stores[dtype], pack, cli->tokenizer}));
    ego_model *written;
    EGO_TRY(ego_model_open(output, NULL, &written)); /* what was written can be read */
    ego_err err = write_info(cli, output, written);
    ego_model_close(written, NULL);
    return err;
}

static ego_err convert_command(ego_cli *cli, const char **args) {
    ego_model *m;
    bool head;
    EGO_TRY(as_head(cli, args[0], head_convert, &head));
    if (head) return EGO_OK;
    if (cli->frames) return ego_fail(EGO_EINPUT, "convert keeps the temporal embedding: --frames is for the tools that compute");
    EGO_TRY(open_model(cli, args[0], 0, &m));
    ego_err err = save(cli, m);
    ego_model_close(m, NULL);
    return err;
}

static ego_err init_config(ego_cli *cli, ego_config *config) {
    *config = ego_config_default();
    if (cli->config) EGO_TRY(ego_config_read_file(cli->config, config));
    for (size_t i = 0; i < cli->set.n; i++)
        EGO_TRY(ego_config_override(config, cli->set.items[i]));
    if (cli->frames) config->frames = cli->frames;
    return EGO_OK;
}

static ego_err init_command(ego_cli *cli, const char **args) {
    (void)args;
    ego_config config;
    ego_pool *pool = NULL;
    ego_model *m = NULL;
    EGO_TRY(init_config(cli, &config));
    EGO_TRY(ego_pool_new((unsigned)cli->threads, &pool));
    ego_err err = ego_model_create(&config, rule ? EGO_START_GOLDEN : EGO_START_PAPER,
                                   (uint64_t)cli->seed, pool, &m);
    if (err == EGO_OK) err = save(cli, m);
    ego_model_close(m, NULL);
    ego_pool_free(pool);
    return err;
}

/* ---- diff ------------------------------------------------------------------------------------------------ */

typedef struct diffing {
    ego_cli *cli;
    bool differ;
    ego_err err;
} diffing;

static void add_tensor(ego_buf *line, const char *key, const ego_tensor *t) {
    char shape[EGO_SHAPE_TEXT];
    ego_buf_json_key(line, key);
    if (t)
        ego_buf_printf(line, "\"%s %s\"", ego_dtype_name(t->dtype),
                       ego_shape_text(t->shape, t->ndim, shape));
    else
        ego_buf_text(line, "null");
}

static bool write_difference(void *context, const ego_difference *d) {
    diffing *x = context;
    bool equal = d->comparable && d->relative <= tolerance;
    if (equal) return true;
    x->differ = true;
    ego_buf line = {0};
    ego_buf_text(&line, "{\"tensor\":");
    ego_buf_json_string(&line, d->name, strlen(d->name));
    add_tensor(&line, "a", d->a);
    add_tensor(&line, "b", d->b);
    if (d->comparable) {
        ego_buf_json_key(&line, "relative");
        ego_buf_json_double(&line, d->relative);
        ego_buf_json_key(&line, "largest");
        ego_buf_json_double(&line, d->largest);
    }
    ego_buf_char(&line, '}');
    x->err = ego_cli_write_line(x->cli, &line);
    ego_buf_release(&line);
    return x->err == EGO_OK;
}

static ego_err diff_command(ego_cli *cli, const char **args) {
    ego_weights *a = NULL, *b = NULL;
    diffing x = {.cli = cli};
    ego_err err = ego_weights_open(args[0], &a);
    if (err == EGO_OK) err = ego_weights_open(args[1], &b);
    if (err == EGO_OK) err = ego_weights_compare(a, b, write_difference, &x);
    if (err == EGO_OK) err = x.err;
    if (err == EGO_OK && x.differ) ego_cli_count_failed(cli); /* like diff(1): 1 when they differ */
    ego_weights_close(a);
    ego_weights_close(b);
    return err;
}

/* ---- texts ---------------------------------------------------------------------------------------------- */

/* The command's name stands first among the arguments that are no record files. */
static void drop_command(ego_cli *cli, const char **args) {
    if (cli->n_media && cli->media[0] == args[-1]) cli->media++, cli->n_media--;
}

static ego_err tokenize_command(ego_cli *cli, const char **args) {
    drop_command(cli, args);
    return ego_model_tokenize(cli);
}

static ego_err learn_tokenizer_command(ego_cli *cli, const char **args) {
    drop_command(cli, args);
    return ego_model_learn(cli, &(ego_model_learning){output, force, vocabulary, least_count});
}

/* ---- main -------------------------------------------------------------------------------------------------- */

static const struct command {
    const char *name;
    size_t args; /* beside the name */
    bool more;   /* any number of files after them */
    ego_err (*run)(ego_cli *cli, const char **args);
} commands[] = {{"info", 1, false, info_command},
                {"verify", 1, false, verify_command},
                {"convert", 1, false, convert_command},
                {"init", 0, false, init_command},
                {"diff", 2, false, diff_command},
                {"tokenize", 0, true, tokenize_command},
                {"learn-tokenizer", 0, true, learn_tokenizer_command}};

static void run(ego_cli *cli) {
    const char *name = cli->n_args ? cli->args[0] : NULL;
    for (size_t i = 0; name && i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (strcmp(name, c->name) != 0) continue;
        if (cli->n_args - 1 < c->args || (cli->n_args - 1 > c->args && !c->more)) {
            ego_cli_usage(cli, "%s: expected %zu file(s), found %zu", name, c->args, cli->n_args - 1);
            return;
        }
        ego_err err = c->run(cli, cli->args + 1);
        if (err != EGO_OK) ego_cli_fatal(cli, err);
        return;
    }
    ego_cli_usage(cli, name ? "'%s' is no command: see -h" : "what to do? info, verify, convert, init, diff, tokenize or learn-tokenizer", name);
}

int main(int argc, char **argv) {
    ego_cli cli;
    if (ego_cli_begin(&cli, &tool, argc, argv)) run(&cli);
    return ego_cli_end(&cli);
}
