/* ego-match: for every query the targets nearest to it. */
#include "engine.h"
#include "feed.h"

#include "base/file.h"
#include "task/found.h"
#include "task/gallery.h"
#include "task/unrelated.h"
#include "task/words_query.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t top = 10, rerank;
static double min_score = -2; /* below every cosine */
static const char *query_text, *sheet_path, *clips_path, *part, *calibrate;
static bool force, follow, no_follow, likely_only;

static const ego_option options[] = {
    {.name = "top", .letter = 'k', .type = EGO_OPTION_INT, .arg = "N", .value = &top, .min = 1, .max = 1000000, .help = "matches for each query (10)"},
    {.name = "min-score", .type = EGO_OPTION_NUMBER, .arg = "X", .value = &min_score, .min = -2, .max = 2, .help = "leave out matches whose cosine is below X"},
    {.name = "query", .type = EGO_OPTION_STRING, .arg = "STR", .value = &query_text, .help = "search for these words instead of QUERIES"},
    {.name = "rerank", .type = EGO_OPTION_INT, .arg = "N", .value = &rerank, .min = 1, .max = 10000, .help = "order the N best again by the fused encoder"},
    {.name = "part", .type = EGO_OPTION_STRING, .arg = "PART", .value = &part, .help = "only targets of this part: video, text or fused"},
    {.name = "calibrate", .type = EGO_OPTION_STRING, .arg = "FILE", .value = &calibrate, .help = "what unrelated narrations find tells what is likely"},
    {.name = "likely", .type = EGO_OPTION_FLAG, .value = &likely_only, .help = "leave out matches that are not likely"},
    {.name = "sheet", .type = EGO_OPTION_FILE, .arg = "FILE.png", .value = &sheet_path, .help = "a picture of the matches, a row of frames each"},
    {.name = "clips", .type = EGO_OPTION_FILE, .arg = "DIR", .value = &clips_path, .help = "write the matches as files that play"},
    {.name = "follow", .type = EGO_OPTION_FLAG, .value = &follow, .help = "answer for each target as it comes"},
    {.name = "no-follow", .type = EGO_OPTION_FLAG, .value = &no_follow, .help = "wait for the end even of a live stream"},
    {.name = "force", .type = EGO_OPTION_FLAG, .value = &force, .help = "compare even different models or layers"},
    {0}};

static const ego_cli_tool tool = {
    .name = "ego-match",
    .usage = "[OPTIONS] QUERIES TARGETS\n[OPTIONS] --query STR TARGETS",
    .summary = "Finds for every query embedding the targets of greatest cosine; exact.\n"
               "QUERIES, TARGETS: an embedding stream (- is stdin), .npy or .fvecs.",
    .example = "ego-match -k 5 --query 'C washes a cup' kitchen.ego",
    .options = options,
    .uses = EGO_CLI_USES_MODEL | EGO_CLI_USES_VIDEO | EGO_CLI_USES_WORK | EGO_CLI_USES_CONFIG |
            EGO_CLI_USES_PLAN | EGO_CLI_USES_PROVENANCE};

typedef struct matcher {
    ego_cli *cli;
    ego_engine engine; /* the model is open only where --query or --rerank need it */
    ego_pool *pool;
    ego_reranker *reranker;
    ego_vectors targets;
    ego_buf line;
    ego_unrelated *unrelated; /* --calibrate */
    uint64_t queries;         /* answered so far */
    bool told_bad_targets;
    ego_gallery gallery; /* --sheet, --clips */
} matcher;

/* ---- answers ------------------------------------------------------------------------------------- */

/* What cannot be shown is said; the match itself stands. */
static void show(matcher *m, const ego_record *query, const ego_record *target, size_t rank,
                 double score) {
    if (ego_gallery_add(&m->gallery, m->queries + 1, query, target, rank, score) == EGO_OK) return;
    ego_cli_fault(m->cli, "%s: cannot be shown: %s", target->id, ego_err_message());
}

/* What tells a likely match of words with a clip; NULL: nothing does. */
static const ego_calibration *calibration_for(const matcher *m, const ego_record *query,
                                              const ego_record *target) {
    const ego_calibration *own = m->targets.many_lists ? NULL : &m->targets.calibration;
    return ego_found_calibration(m->unrelated ? ego_unrelated_calibration(m->unrelated) : own, query, target);
}

/* rank 0: of a target that was answered as it came. */
static ego_err write_hit(matcher *m, const ego_record *query, const ego_found *c, size_t rank) {
    const ego_calibration *calibration = calibration_for(m, query, &c->target);
    ego_buf *line = &m->line;
    if (likely_only && !(calibration && ego_found_likely(calibration, c->hit.score))) return EGO_OK;
    ego_found_write(c, query, rank, calibration, line);
    ego_cli_add_provenance(m->cli, m->targets.model, NULL, line);
    ego_record_carry(&c->target, EGO_RECORD_CLIP | EGO_RECORD_TEXT, line);
    ego_buf_char(line, '}');
    return ego_cli_write_line(m->cli, line);
}

/* The hits are ordered by cosine: the first stands for all. */
static void tell_unlikely(matcher *m, const ego_record *query, const ego_found *best) {
    const ego_calibration *c = calibration_for(m, query, &best->target);
    if (!c || ego_found_likely(c, best->hit.score)) return;
    ego_cli_note(m->cli, "%s: nothing like this here (best %.3f, threshold %.3f)", query->id,
                 best->hit.score, ego_calibration_threshold(c));
}

static ego_err answer_query(matcher *m, const ego_record *query, const ego_match_hit *hits,
                            size_t n) {
    ego_found *c = calloc(n + 1, sizeof *c);
    if (!c) return ego_fail(EGO_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        c[i] = (ego_found){.hit = hits[i], .vtm = NAN};
        /* A header that is no record of ours still has an id to show. */
        if (ego_vectors_record(&m->targets, hits[i].target, &c[i].target) == EGO_ENOMEM) n = i;
    }
    if (n) tell_unlikely(m, query, &c[0]);
    size_t again = (size_t)rerank < n ? (size_t)rerank : n,
           shown = (size_t)top < n ? (size_t)top : n;
    ego_err err = m->reranker ? ego_found_rerank(m->reranker, query, c, again) : EGO_OK;
    for (size_t i = 0; err == EGO_OK && i < shown; i++) {
        err = write_hit(m, query, &c[i], i + 1);
        if (err == EGO_OK && (sheet_path || clips_path))
            show(m, query, &c[i].target, i + 1,
                 isnan(c[i].vtm) ? (double)c[i].hit.score : c[i].vtm);
    }
    for (size_t i = 0; i < n; i++) ego_record_release(&c[i].target);
    free(c);
    return err;
}

static void report_targets(matcher *m, const ego_match_result *found) {
    if (m->told_bad_targets) return;
    m->told_bad_targets = true;
    if (m->targets.n_failed)
        ego_cli_note(m->cli, "%s: %zu records are errors and were left out", m->targets.name,
                     m->targets.n_failed);
    if (found->n_bad_targets)
        ego_cli_fault(m->cli,
                      "%s: %zu embeddings hold a NaN or an infinity, the first at index %zu, and "
                      "were left out",
                      m->targets.name, found->n_bad_targets, found->first_bad_target);
}

static bool answer_batch(matcher *m, const ego_vectors *queries, size_t first, size_t n) {
    size_t k = (size_t)(rerank > top ? rerank : top);
    ego_progress progress = ego_cli_progress(m->cli);
    ego_match_options o = {.k = k, .min_score = min_score, .pool = m->pool, .progress = &progress};
    ego_match_result found;
    ego_err err = ego_match(queries->items + first, n, m->targets.items, m->targets.n,
                            m->targets.dim, &o, &found);
    if (err != EGO_OK) return ego_cli_fatal(m->cli, err);
    report_targets(m, &found);
    bool go_on = true;
    for (size_t q = 0; go_on && q < n; q++, m->queries++) {
        ego_record record;
        err = ego_vectors_record(queries, first + q, &record);
        if (found.bad_query[q]) err = ego_vectors_fault(queries, first + q);
        if (err == EGO_OK)
            err = answer_query(m, &record, found.hits + q * found.k, found.n_hits[q]);
        go_on = ego_cli_record_done(m->cli, &record, err);
    }
    ego_match_release(&found);
    return go_on;
}

/* Batches bound the memory of a search and let the first answers out early. */
static bool answer_all(matcher *m, const ego_vectors *queries) {
    enum { BATCH = 1024, HITS = 1 << 22 };
    size_t k = (size_t)(rerank > top ? rerank : top), batch = HITS / k;
    if (k > m->targets.n) batch = HITS / (m->targets.n ? m->targets.n : 1);
    if (batch > BATCH) batch = BATCH;
    if (batch < 16) batch = 16;
    ego_err err = ego_vectors_comparable(queries, &m->targets, force);
    if (err != EGO_OK) {
        ego_cli_fatal(m->cli, err);
        if (queries->dim == m->targets.dim)
            ego_cli_note(m->cli, "--force compares them all the same");
        return false;
    }
    for (size_t i = 0; i < queries->n; i += batch)
        if (!answer_batch(m, queries, i, queries->n - i < batch ? queries->n - i : batch))
            return false;
    return true;
}

static void report_damage(matcher *m, const ego_vectors *v) {
    if (v->damage) ego_cli_fault(m->cli, "%s; what came before it is used", v->damage);
}

/* ---- queries ------------------------------------------------------------------------------------- */

/* Queries from a pipe are answered as they come. */
static bool answer_pipe(matcher *m, int fd, const char *name) {
    ego_vectors queries;
    ego_buf bytes = {0};
    size_t used;
    bool ended = false, go_on = true;
    ego_err err = ego_vectors_open_feed(name, NULL, force, &queries);
    while (err == EGO_OK && go_on && !ended && ego_cli_wait(m->cli, fd)) {
        err = ego_feed_some(fd, &bytes, &ended);
        if (err != EGO_OK) break;
        err = ego_vectors_feed(&queries, (const uint8_t *)(bytes.data ? bytes.data : ""), bytes.len,
                               ended, &used);
        if (err != EGO_OK) break;
        go_on = answer_all(m, &queries) && !queries.damage;
        memmove(bytes.data, bytes.data + used, bytes.len - used);
        bytes.len -= used;
    }
    if (err != EGO_OK) go_on = ego_cli_fatal(m->cli, err);
    report_damage(m, &queries);
    ego_vectors_close(&queries);
    ego_buf_release(&bytes);
    return go_on;
}

static bool answer_file(matcher *m, const char *path) {
    ego_vectors queries;
    const char *name;
    int fd;
    ego_err err = ego_feed_open(path, &fd, &name);
    if (err != EGO_OK) return ego_cli_fatal(m->cli, err);
    if (fd >= 0) {
        bool go_on = answer_pipe(m, fd, name);
        ego_feed_close(fd);
        return go_on;
    }
    err = ego_vectors_open(path, NULL, force, &queries);
    bool go_on = err == EGO_OK ? answer_all(m, &queries) : ego_cli_fatal(m->cli, err);
    if (go_on && queries.n == 0 && !queries.damage)
        ego_cli_note(m->cli, "%s: holds no queries", path);
    report_damage(m, &queries);
    ego_vectors_close(&queries);
    return go_on;
}

static ego_err words_as_query(matcher *m, ego_vectors *query) {
    return ego_query_of_words(&m->engine.cx, m->engine.model, m->engine.model_id, "--query", query_text,
                              m->targets.layer, query);
}

static bool answer_words(matcher *m) {
    ego_vectors query = {0};
    ego_err err = words_as_query(m, &query);
    bool go_on = err == EGO_OK ? answer_all(m, &query) : ego_cli_fatal(m->cli, err);
    ego_vectors_close(&query);
    return go_on;
}

/* ---- live targets -------------------------------------------------------------------------------- */

static ego_err open_unrelated(matcher *m) {
    return ego_unrelated_open(&m->engine.cx, m->engine.model, ego_query_layer(m->targets.layer), calibrate,
                              &m->unrelated);
}

/* The first targets tell which model and layer the queries must be of. */
static ego_err open_live_queries(matcher *m, ego_vectors *queries) {
    EGO_TRY(query_text ? words_as_query(m, queries)
                       : ego_vectors_open(m->cli->args[0], NULL, force, queries));
    report_damage(m, queries);
    if (calibrate) EGO_TRY(open_unrelated(m));
    return ego_vectors_comparable(queries, &m->targets, force);
}

/* One target for every query: a line for each that it fits. */
static ego_err answer_target(matcher *m, const ego_vectors *queries, size_t i) {
    const ego_vector *target = &m->targets.items[i];
    ego_match_options o = {.k = 1, .min_score = min_score};
    ego_match_result found;
    ego_found c = {.vtm = NAN};
    if (!target->data) return EGO_OK;
    if (m->unrelated) EGO_TRY(ego_unrelated_meet(m->unrelated, target, 1, m->targets.dim, NULL));
    EGO_TRY(ego_match(queries->items, queries->n, target, 1, m->targets.dim, &o, &found));
    ego_err err = ego_vectors_record(&m->targets, i, &c.target);
    for (size_t q = 0; err == EGO_OK && q < queries->n; q++) {
        ego_record query = {0};
        if (found.n_hits[q] == 0) continue;
        c.hit = found.hits[q * found.k];
        err = ego_vectors_record(queries, q, &query);
        if (err == EGO_OK) err = write_hit(m, &query, &c, 0);
        ego_record_release(&query);
    }
    ego_record_release(&c.target);
    ego_match_release(&found);
    return err;
}

/* `bytes` hold the stream's beginning. What was answered is forgotten. */
static ego_err answer_live(matcher *m, int fd, const char *name, ego_buf *bytes, ego_vectors *queries) {
    bool ended = false, opened = false;
    size_t used;
    EGO_TRY(ego_vectors_open_feed(name, part, force, &m->targets));
    for (;;) {
        EGO_TRY(ego_vectors_feed(&m->targets, (const uint8_t *)bytes->data, bytes->len, ended, &used));
        if (m->targets.n && !opened) EGO_TRY(open_live_queries(m, queries));
        opened = opened || m->targets.n;
        for (size_t i = 0; i < m->targets.n && !ego_cli_stopped(m->cli); i++)
            EGO_TRY(answer_target(m, queries, i));
        if (m->targets.n_failed)
            ego_cli_note(m->cli, "%s: %zu records are errors and were left out", name, m->targets.n_failed);
        if (used) memmove(bytes->data, bytes->data + used, bytes->len - used);
        bytes->len -= used;
        if (ended || m->targets.damage || !ego_cli_wait(m->cli, fd)) break;
        EGO_TRY(ego_feed_some(fd, bytes, &ended));
    }
    report_damage(m, &m->targets);
    return EGO_OK;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static bool check_arguments(ego_cli *cli) {
    size_t wanted = query_text ? 1 : 2;
    if (cli->n_args != wanted)
        return ego_cli_usage(cli, "expected %s, found %zu arguments",
                             query_text ? "TARGETS after --query" : "QUERIES and TARGETS",
                             cli->n_args);
    if (wanted == 2 && strcmp(cli->args[0], "-") == 0 && strcmp(cli->args[1], "-") == 0)
        return ego_cli_usage(cli, "QUERIES and TARGETS cannot both be - (stdin)");
    if (follow && (rerank || sheet_path || clips_path || no_follow || cli->dry_run))
        return ego_cli_usage(cli, "--follow: %s needs all targets first",
                             rerank       ? "--rerank"
                             : sheet_path ? "--sheet"
                             : clips_path ? "--clips"
                             : no_follow  ? "--no-follow"
                                          : "--dry-run");
    return true;
}

static bool open_model(matcher *m) {
    ego_embed_options words = {.layer = ego_query_layer(m->targets.layer)}, pairs = {.fused = true};
    bool encodes = query_text || calibrate;
    unsigned needs = (encodes ? ego_embed_needs(&words) : 0) | (rerank ? ego_embed_needs(&pairs) : 0);
    if (!encodes && !rerank) return true;
    if (!ego_engine_open(&m->engine, m->cli, needs)) return false;
    if (!rerank) return true;
    ego_rerank_options o = {.video_root = m->cli->video_root,
                            .sampling = (ego_sampling)m->cli->sampling};
    ego_err err = ego_rerank_open(&m->engine.cx, m->engine.model, &o, &m->reranker);
    return err == EGO_OK || ego_cli_fatal(m->cli, err);
}

static bool check_targets(matcher *m, ego_err err) {
    if (err != EGO_OK) return ego_cli_fatal(m->cli, err);
    report_damage(m, &m->targets);
    if (m->targets.many_lists)
        ego_cli_note(m->cli, "%s: calibrated on several lists: nothing is called likely", m->targets.name);
    else if (likely_only && !calibrate && !m->targets.calibration.best)
        ego_cli_note(m->cli, "%s: not calibrated: nothing is called likely; --calibrate builtin does it now", m->targets.name);
    if (m->targets.n > m->targets.n_failed) return true;
    return ego_cli_fatal(m->cli,
                         ego_fail(EGO_EFORMAT, "%s: holds no embeddings%s%s to search",
                                  m->targets.name, part ? " of part " : "", part ? part : ""));
}

static bool calibrate_all(matcher *m) {
    if (!calibrate) return true;
    ego_err err = open_unrelated(m);
    if (err == EGO_OK)
        err = ego_unrelated_meet(m->unrelated, m->targets.items, m->targets.n, m->targets.dim, m->pool);
    return err == EGO_OK || ego_cli_fatal(m->cli, err);
}

static void plan(matcher *m) {
    printf("{\"targets\":%zu,\"dim\":%zu,\"bytes\":%zu}\n", m->targets.n, m->targets.dim,
           m->targets.n * m->targets.dim * sizeof(float));
}

/* All targets are here. */
static void answer(matcher *m) {
    if (m->cli->dry_run) return plan(m);
    if (!open_model(m) || !calibrate_all(m)) return;
    bool done = query_text ? answer_words(m) : answer_file(m, m->cli->args[0]);
    if (done && sheet_path && ego_gallery_write(&m->gallery, sheet_path) != EGO_OK)
        ego_cli_fatal(m->cli, EGO_EIO);
}

/* Targets from a pipe: as they come if the stream is live or --follow says so, else when it has ended. */
static void answer_from(matcher *m, int fd, const char *name) {
    ego_vectors queries = {0};
    ego_buf bytes = {0};
    bool live = false, possible = !no_follow && !rerank && !sheet_path && !clips_path && !m->cli->dry_run;
    ego_err err = possible ? ego_feed_is_live(m->cli, fd, &bytes, &live) : EGO_OK;
    if (err == EGO_OK && (live || follow)) {
        if (open_model(m)) err = answer_live(m, fd, name, &bytes, &queries);
    } else if (err == EGO_OK) {
        err = ego_feed_rest(fd, &bytes);
        if (err == EGO_OK) err = ego_vectors_of_bytes(name, &bytes, part, force, &m->targets);
        if (err == EGO_OK && check_targets(m, err)) answer(m);
    }
    if (err != EGO_OK) ego_cli_fatal(m->cli, err);
    ego_vectors_close(&queries);
    ego_vectors_close(&m->targets); /* before the bytes that it may point into */
    ego_buf_release(&bytes);
}

static void match(matcher *m, const char *targets) {
    const char *name;
    int fd = -1;
    ego_err err = clips_path && ego_make_directory(clips_path) != EGO_OK ? EGO_EIO : EGO_OK;
    if (err == EGO_OK) err = ego_pool_new((unsigned)m->cli->threads, &m->pool);
    if (err == EGO_OK) err = ego_feed_open(targets, &fd, &name);
    if (err != EGO_OK) {
        ego_cli_fatal(m->cli, err);
    } else if (fd >= 0) {
        answer_from(m, fd, name);
    } else if (check_targets(m, ego_vectors_open(targets, part, force, &m->targets))) {
        if (follow)
            ego_cli_note(m->cli, "%s: a file is there at once: --follow is for pipes", targets);
        answer(m);
    }
    ego_feed_close(fd);
}

int main(int argc, char **argv) {
    ego_cli cli;
    static matcher m;
    if (!ego_cli_begin(&cli, &tool, argc, argv)) return ego_cli_end(&cli);
    m.cli = &cli;
    m.gallery = (ego_gallery){.video_root = cli.video_root,
                              .folder = clips_path,
                              .rows_wanted = sheet_path != NULL,
                              .frames = (int)cli.frames};
    if (check_arguments(&cli)) match(&m, cli.args[cli.n_args - 1]);
    ego_gallery_release(&m.gallery);
    ego_unrelated_close(m.unrelated);
    ego_rerank_close(m.reranker);
    ego_engine_close(&m.engine);
    ego_pool_free(m.pool);
    ego_vectors_close(&m.targets);
    ego_buf_release(&m.line);
    return ego_cli_end(&cli);
}
