#include "recipe/qfvs_rows.h"

#include "base/file.h"
#include "data/locate.h"
#include "task/qfvs.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_VIDEOS = 256, MAX_QUERIES = 4096, MAX_CONCEPTS = 4096 };

static ego_err no_memory(void) { return ego_fail(EGO_ENOMEM, "out of memory for QFVS's queries"); }

static void *take(ego_arena *arena, size_t bytes) {
    return ego_arena_alloc(arena, bytes ? bytes : 1);
}

/* ---- queries ------------------------------------------------------------------------------------- */

static ego_err make_prompts(ego_arena *arena, ego_qfvs_words words, ego_qfvs_query *q) {
    const char *const pairs[EGO_QFVS_PROMPTS][2] = {
        {q->oracle.a, NULL}, {q->oracle.b, NULL}, {q->oracle.a, q->oracle.b}};
    ego_buf text = {0};
    ego_err err = EGO_OK;
    for (size_t i = 0; i < EGO_QFVS_PROMPTS; i++) {
        ego_buf_clear(&text);
        ego_qfvs_prompt(words, pairs[i][0], pairs[i][1], &text);
        if (err == EGO_OK) err = ego_buf_err(&text);
        q->prompts[i] = err == EGO_OK ? ego_arena_strdup(arena, text.data) : NULL;
        if (!q->prompts[i]) err = no_memory();
    }
    ego_buf_release(&text);
    return err;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The files A_B_oracle.txt of a folder, in order. */
static ego_err list_oracles(const char *folder, ego_arena *arena, char **names, size_t *n) {
    DIR *dir = opendir(folder);
    if (!dir) return ego_fail(EGO_EIO, "%s: %s", folder, strerror(errno));
    ego_err err = EGO_OK;
    for (struct dirent *e; err == EGO_OK && (e = readdir(dir));) {
        if (!ego_has_suffix(e->d_name, "_oracle.txt")) continue;
        if (*n == MAX_QUERIES)
            err = ego_fail(EGO_EINPUT, "%s: more than %d queries", folder, MAX_QUERIES);
        else if (!(names[(*n)++] = ego_arena_strdup(arena, e->d_name)))
            err = no_memory();
    }
    closedir(dir);
    if (err == EGO_OK && *n == 0)
        err = ego_fail(EGO_EINPUT, "%s: expected files A_B_oracle.txt, found none", folder);
    if (err == EGO_OK) qsort(names, *n, sizeof(char *), by_name);
    return err;
}

static ego_err read_queries(const ego_qfvs_rows_options *o, ego_arena *arena, ego_qfvs_video *v) {
    char **names = take(arena, MAX_QUERIES * sizeof *names);
    ego_buf folder = {0}, path = {0};
    ego_buf_printf(&folder, "%s/Oracle_Summaries/%s", o->root, v->name);
    ego_err err = names ? ego_buf_err(&folder) : no_memory();
    if (err == EGO_OK) err = list_oracles(folder.data, arena, names, &v->query_count);
    v->queries = take(arena, v->query_count * sizeof *v->queries);
    if (err == EGO_OK && !v->queries) err = no_memory();
    for (size_t i = 0; err == EGO_OK && i < v->query_count; i++) {
        ego_buf_clear(&path);
        ego_buf_printf(&path, "%s/%s", folder.data, names[i]);
        err = ego_buf_err(&path);
        if (err == EGO_OK) err = ego_qfvs_oracle_read(path.data, arena, &v->queries[i].oracle);
        if (err == EGO_OK) err = make_prompts(arena, o->words, &v->queries[i]);
    }
    ego_buf_release(&folder);
    ego_buf_release(&path);
    return err;
}

ego_err ego_qfvs_prompts(ego_arena *arena, const ego_qfvs_video *v, const char ***out, size_t *n) {
    const char **all = take(arena, v->query_count * EGO_QFVS_PROMPTS * sizeof *all);
    if (!all) return no_memory();
    *n = 0;
    for (size_t q = 0; q < v->query_count; q++)
        for (size_t i = 0; i < EGO_QFVS_PROMPTS; i++) {
            size_t k = 0;
            while (k < *n && strcmp(all[k], v->queries[q].prompts[i]) != 0) k++;
            if (k == *n) all[(*n)++] = v->queries[q].prompts[i];
        }
    *out = all;
    return EGO_OK;
}

/* ---- concepts ------------------------------------------------------------------------------------ */

bool ego_qfvs_has(const ego_qfvs_video *v, size_t k, const char *concept) {
    if (k >= v->tags.count) return false;
    const ego_qfvs_shot *shot = &v->tags.shots[k];
    for (size_t i = 0; i < shot->count; i++)
        if (strcasecmp(shot->concepts[i], concept) == 0) return true;
    return false;
}

/* Numbers for the concepts that shots of this video have: scores need no others. */
static ego_err number_concepts(ego_arena *arena, ego_qfvs_video *v) {
    const char **names = take(arena, MAX_CONCEPTS * sizeof *names);
    size_t n = 0;
    v->words = MAX_CONCEPTS / 64;
    v->concepts = names ? take(arena, (v->tags.count + 1) * v->words * sizeof *v->concepts) : NULL;
    if (!v->concepts) return no_memory();
    memset(v->concepts, 0, (v->tags.count + 1) * v->words * sizeof *v->concepts);
    for (size_t k = 0; k < v->tags.count; k++)
        for (size_t i = 0; i < v->tags.shots[k].count; i++) {
            size_t c = 0;
            while (c < n && strcasecmp(names[c], v->tags.shots[k].concepts[i]) != 0) c++;
            if (c == MAX_CONCEPTS)
                return ego_fail(EGO_EINPUT, "%s: more than %d concepts", v->name, MAX_CONCEPTS);
            if (c == n) names[n++] = v->tags.shots[k].concepts[i];
            v->concepts[k * v->words + c / 64] |= (uint64_t)1 << c % 64;
        }
    return EGO_OK;
}

static ego_err read_tags(const char *root, ego_arena *arena, ego_qfvs_video *v) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/Dense_per_shot_tags/%s/%s.txt", root, v->name, v->name);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK) err = ego_qfvs_tags_read(path.data, arena, &v->tags);
    ego_buf_release(&path);
    v->shots = v->tags.count;
    return err == EGO_OK ? number_concepts(arena, v) : err;
}

/* ---- videos -------------------------------------------------------------------------------------- */

/* P01, or the folder of its pictures under the published name. */
static ego_err find_video(const char *root, ego_arena *arena, ego_qfvs_video *v) {
    static const char *const suffixes[] = {"", "-moviepy"};
    ego_buf name = {0};
    ego_place place = {0};
    ego_err err = EGO_EIO;
    for (size_t i = 0; err == EGO_EIO && i < 2; i++) {
        ego_buf_clear(&name);
        ego_buf_printf(&name, "%s%s", v->name, suffixes[i]);
        err = ego_buf_err(&name);
        if (err == EGO_OK) err = ego_locate(root, name.data, &place);
    }
    if (err == EGO_OK && !(v->video = ego_arena_strdup(arena, name.data))) err = no_memory();
    ego_place_release(&place);
    ego_buf_release(&name);
    return err;
}

ego_err ego_qfvs_rows_list(const ego_qfvs_rows_options *o, ego_qfvs_rows *rows) {
    static const char between[] = " ,\t\n";
    *rows = (ego_qfvs_rows){0};
    ego_arena_init(&rows->arena, 1 << 16);
    rows->videos = take(&rows->arena, MAX_VIDEOS * sizeof *rows->videos);
    if (!rows->videos) return no_memory();
    for (const char *at = o->names + strspn(o->names, between); *at; at += strspn(at, between)) {
        size_t n = strcspn(at, between);
        char *name = take(&rows->arena, n + 1);
        if (!name) return no_memory();
        memcpy(name, at, n);
        name[n] = '\0';
        at += n;
        if (rows->count == MAX_VIDEOS)
            return ego_fail(EGO_EINPUT, "expected at most %d videos, found more", MAX_VIDEOS);
        ego_qfvs_video *v = &rows->videos[rows->count++];
        *v = (ego_qfvs_video){.name = name};
        EGO_TRY(read_tags(o->root, &rows->arena, v));
        EGO_TRY(read_queries(o, &rows->arena, v));
        EGO_TRY(find_video(o->video_root ? o->video_root : o->root, &rows->arena, v));
    }
    return rows->count ? EGO_OK : ego_fail(EGO_EINPUT, "expected names of videos, found none");
}

void ego_qfvs_rows_release(ego_qfvs_rows *rows) {
    for (size_t i = 0; i < rows->count; i++) ego_kts_release(&rows->videos[i].segments);
    ego_summary_store_release(&rows->store);
    ego_arena_release(&rows->arena);
    *rows = (ego_qfvs_rows){0};
}

static ego_err segment(const ego_qfvs_rows_options *o, ego_qfvs_rows *rows, ego_qfvs_video *v) {
    ego_arena arena;
    ego_tensor states = {0};
    ego_arena_init(&arena, 1 << 16);
    ego_err err =
        ego_summary_store_load(&rows->store, EGO_SUMMARY_STATES, v->video, NULL, &arena, &states);
    if (err == EGO_OK && !states.data)
        err = ego_fail(EGO_EIO, "%s: the states of %s were there and are gone", o->cache, v->video);
    if (err == EGO_OK)
        err = ego_kts_segment(states.data, (size_t)states.shape[0], (size_t)states.shape[1],
                              &o->kts, &v->segments);
    size_t n = err == EGO_OK ? (size_t)states.shape[0] : 0;
    ego_arena_release(&arena);
    if (v->shots > n) v->shots = n;
    return err;
}

/* A store knows videos by their names, and every set has a P01. */
static ego_err open_store(const ego_qfvs_rows_options *o, ego_model *model,
                          const ego_summary_options *summary, ego_qfvs_rows *rows) {
    static const char apart[] = "/validate";
    size_t n = strlen(o->cache) + sizeof apart;
    char *folder = take(&rows->arena, n);
    if (!folder) return no_memory();
    snprintf(folder, n, "%s%s", o->cache, o->apart ? apart : "");
    return ego_summary_store_init(folder, model, summary, &rows->store);
}

ego_err ego_qfvs_rows_read(ego_ctx *cx, ego_model *model, const ego_qfvs_rows_options *o,
                           ego_qfvs_rows *rows) {
    ego_summary_options summary = o->summary;
    summary.shots.video_root = o->video_root ? o->video_root : o->root;
    summary.shots.frames = (int)model->config.frames;
    summary.shots.size = (int)model->config.image_size;
    summary.progress = o->progress;
    EGO_TRY(ego_qfvs_rows_list(o, rows));
    EGO_TRY(open_store(o, model, &summary, rows));
    for (size_t i = 0; i < rows->count; i++) {
        const char **prompts;
        size_t n;
        EGO_TRY(ego_qfvs_prompts(&rows->arena, &rows->videos[i], &prompts, &n));
        EGO_TRY(ego_summary_store_fill(&rows->store, cx, model, &summary, rows->videos[i].video,
                                       prompts, n));
        EGO_TRY(segment(o, rows, &rows->videos[i]));
    }
    return EGO_OK;
}
