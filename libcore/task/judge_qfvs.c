/* QFVS: a summary's shots matched with the oracle's by what is in them.
 *
 * That is Tags.mat's account where there is one, as in the published evaluation, whose figures are its; else that of
 * Dense_per_shot_tags, the same concepts by name. */
#include "task/judge_inside.h"

#include "base/file.h"
#include "format/qfvs.h"
#include "score/qfvs.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char suffix[] = "_oracle.txt";

typedef struct query {
    size_t video; /* its number among the videos */
    ego_qfvs_oracle oracle;
} query;

typedef struct video {
    const char *name;
    size_t shots;
    const ego_qfvs_vectors *published; /* Tags.mat's; NULL: `text` */
    ego_qfvs_tags text;
    uint64_t *tags; /* (shots, words) */
} video;

typedef struct qfvs {
    ego__judge *judge;
    ego__list videos; /* video */
    const char *tags; /* the path of Tags.mat; NULL: none */
    const ego_qfvs_vectors *published; /* its videos P01, P02 and so on */
    size_t n_published;
    ego_keys concepts; /* of Dense_per_shot_tags */
    size_t words; /* of 64 bits, for all concepts */
} qfvs;

static video *videos(const qfvs *q) { return q->videos.items; }
static const query *queries(const qfvs *q) { return q->judge->truth.items; }

/* ---- folders ------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names in a folder, sorted, those that begin with a point left out; in the arena. */
static ego_err list_folder(const char *path, ego_arena *arena, const char ***names, size_t *count) {
    ego__list found = {.size = sizeof(char *)};
    DIR *folder = opendir(path);
    void *items;
    if (!folder) return ego_fail(EGO_EIO, "%s: a folder expected: %s", path, strerror(errno));
    ego_err err = EGO_OK;
    for (struct dirent *entry; err == EGO_OK && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.') continue;
        const char **name = ego__list_add(&found);
        if (!name || !(*name = ego_arena_strdup(arena, entry->d_name)))
            err = ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    closedir(folder);
    *count = found.count;
    if (err == EGO_OK && found.count) qsort(found.items, found.count, found.size, by_name);
    if (err == EGO_OK) err = ego__list_finish(&found, arena, &items);
    if (err == EGO_OK) *names = items;
    ego__list_release(&found);
    return err;
}

static bool is_folder(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* "A/B" and so on; NULL when memory ran out. */
static char *join(ego_arena *arena, const char *a, const char *b) {
    size_t n = strlen(a) + strlen(b) + 2;
    char *path = ego_arena_alloc(arena, n);
    if (path) snprintf(path, n, "%s/%s", a, b);
    return path;
}

/* Calls back for every A_B_oracle.txt in the folders V of `root`. */
typedef ego_err oracle_reader(qfvs *q, const char *video, const char *path);

static ego_err each_oracle(qfvs *q, const char *root, oracle_reader *reader) {
    ego_arena *arena = &q->judge->arena;
    const char **folders, **files;
    size_t n_folders, n_files;
    EGO_TRY(list_folder(root, arena, &folders, &n_folders));
    for (size_t v = 0; v < n_folders; v++) {
        const char *folder = join(arena, root, folders[v]);
        if (!folder) return ego_fail(EGO_ENOMEM, "out of memory");
        if (!is_folder(folder)) continue;
        EGO_TRY(list_folder(folder, arena, &files, &n_files));
        for (size_t f = 0; f < n_files; f++) {
            if (!ego_has_suffix(files[f], suffix)) continue;
            const char *path = join(arena, folder, files[f]);
            if (!path) return ego_fail(EGO_ENOMEM, "out of memory");
            EGO_TRY(reader(q, folders[v], path));
        }
    }
    return EGO_OK;
}

/* ---- the truth ----------------------------------------------------------------------------------- */

/* TRUTH/Tags.mat, unless another is named. */
static ego_err read_published(qfvs *q) {
    ego_arena *arena = &q->judge->arena;
    q->tags = q->judge->options->tags;
    if (!q->tags) {
        char *beside = join(arena, q->judge->options->truth, "Tags.mat");
        if (!beside) return ego_fail(EGO_ENOMEM, "out of memory");
        if (access(beside, F_OK) != 0) return EGO_OK;
        q->tags = beside;
    }
    return ego_qfvs_vectors_read(q->tags, arena, &q->published, &q->n_published);
}

/* Its videos have no names there: P01 is the first. */
static ego_err find_published(const qfvs *q, video *v) {
    for (size_t i = 0; i < q->n_published; i++) {
        char name[16];
        snprintf(name, sizeof name, "P%02zu", i + 1);
        if (strcmp(name, v->name) != 0) continue;
        v->published = &q->published[i];
        v->shots = v->published->shots;
        return EGO_OK;
    }
    return ego_fail(EGO_EFORMAT, "%s: expected a video from P01 to P%02zu, as it has, found the folder %s", q->tags,
                    q->n_published, v->name);
}

static ego_err read_text(qfvs *q, video *v) {
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/Dense_per_shot_tags/%s/%s.txt", q->judge->options->truth,
                     v->name, v->name);
    if (n < 0 || (size_t)n >= sizeof path)
        return ego_fail(EGO_EINPUT, "%s: a path too long", q->judge->options->truth);
    EGO_TRY(ego_qfvs_tags_read(path, &q->judge->arena, &v->text));
    v->shots = v->text.count;
    size_t index;
    for (size_t s = 0; s < v->shots; s++)
        for (size_t k = 0; k < v->text.shots[s].count; k++)
            EGO_TRY(ego_keys_add(&q->concepts, v->text.shots[s].concepts[k], &index, NULL));
    return EGO_OK;
}

static ego_err add_video(qfvs *q, const char *name) {
    video *added = ego__list_add(&q->videos);
    if (!added) return ego_fail(EGO_ENOMEM, "out of memory for videos");
    *added = (video){.name = name};
    return q->tags ? find_published(q, added) : read_text(q, added);
}

/* Folders come sorted, so a video's oracles stand together. */
static ego_err add_oracle(qfvs *q, const char *name, const char *path) {
    char key[512];
    query item = {0};
    if (!q->videos.count || strcmp(videos(q)[q->videos.count - 1].name, name) != 0)
        EGO_TRY(add_video(q, name));
    item.video = q->videos.count - 1;
    EGO_TRY(ego_qfvs_oracle_read(path, &q->judge->arena, &item.oracle));
    const video *v = &videos(q)[item.video];
    for (size_t i = 0; i < item.oracle.count; i++)
        if (item.oracle.shots[i] >= v->shots)
            return ego_fail(EGO_EFORMAT, "%s: shots from 1 to %zu expected, found %u", path,
                            v->shots, item.oracle.shots[i] + 1);
    snprintf(key, sizeof key, "%s/%s_%s", name, item.oracle.a, item.oracle.b);
    return ego__judge_unit(q->judge, key, &item);
}

static void set_tag(const qfvs *q, video *v, size_t shot, size_t concept) {
    v->tags[shot * q->words + concept / 64] |= (uint64_t)1 << concept % 64;
}

static void set_published(const qfvs *q, video *v) {
    size_t concepts = v->published->concepts;
    for (size_t s = 0; s < v->shots; s++)
        for (size_t c = 0; c < concepts; c++)
            if (v->published->bits[s * concepts + c]) set_tag(q, v, s, c);
}

static void set_named(const qfvs *q, video *v) {
    size_t index = 0;
    for (size_t s = 0; s < v->shots; s++)
        for (size_t k = 0; k < v->text.shots[s].count; k++)
            if (ego_keys_find(&q->concepts, v->text.shots[s].concepts[k], &index)) set_tag(q, v, s, index);
}

static ego_err make_tags(qfvs *q) {
    size_t concepts = q->concepts.count;
    for (size_t i = 0; i < q->n_published; i++)
        if (q->published[i].concepts > concepts) concepts = q->published[i].concepts;
    q->words = (concepts + 63) / 64;
    for (size_t i = 0; i < q->videos.count; i++) {
        video *v = &videos(q)[i];
        EGO_TRY(ego__judge_alloc(q->judge, v->shots * q->words, sizeof *v->tags, &v->tags));
        if (v->published)
            set_published(q, v);
        else
            set_named(q, v);
    }
    return EGO_OK;
}

static ego_err read_truth(qfvs *q) {
    char *root = join(&q->judge->arena, q->judge->options->truth, "Oracle_Summaries");
    if (!root) return ego_fail(EGO_ENOMEM, "out of memory");
    EGO_TRY(read_published(q));
    EGO_TRY(each_oracle(q, root, add_oracle));
    EGO_TRY(make_tags(q));
    EGO_TRY(ego__judge_table(q->judge, 3 * q->videos.count));
    for (size_t i = 0; i < q->judge->keys.count; i++) {
        q->judge->out->tally.stratum[i] = (uint32_t)queries(q)[i].video;
        for (size_t c = 0; c < 3; c++)
            ego_tally_column(&q->judge->out->tally, c * q->videos.count + queries(q)[i].video)[i] =
                0;
    }
    return EGO_OK;
}

/* ---- predictions --------------------------------------------------------------------------------- */

/* Columns: precision of each video, recall of each, F1 of each. */
static ego_err put(qfvs *q, size_t unit, const uint32_t *shots, size_t n) {
    const query *truth = &queries(q)[unit];
    const ego_tally *tally = &q->judge->out->tally;
    size_t all = q->videos.count;
    ego_qfvs_scores scores;
    EGO_TRY(ego_qfvs_score(shots, n, truth->oracle.shots, truth->oracle.count,
                           videos(q)[truth->video].tags, q->words, &scores));
    ego_tally_column(tally, truth->video)[unit] = scores.precision;
    ego_tally_column(tally, all + truth->video)[unit] = scores.recall;
    ego_tally_column(tally, 2 * all + truth->video)[unit] = scores.f1;
    return EGO_OK;
}

/* Finds the query, its concepts in either order. */
static void place(qfvs *q, const char *name, const char *a, const char *b, size_t *unit,
                  bool *wanted) {
    char key[512], turned[512];
    snprintf(key, sizeof key, "%s/%s_%s", name, a, b);
    snprintf(turned, sizeof turned, "%s/%s_%s", name, b, a);
    bool found = ego_keys_find(&q->judge->keys, key, unit);
    ego__judge_place(q->judge, found ? key : turned, unit, wanted);
}

static ego_err check_shots(const qfvs *q, size_t unit, const uint32_t *shots, size_t n) {
    const video *v = &videos(q)[queries(q)[unit].video];
    bool *seen = calloc(v->shots + 1, sizeof *seen);
    if (!seen) return ego_fail(EGO_ENOMEM, "out of memory for %zu shots", v->shots);
    ego_err err = EGO_OK;
    for (size_t i = 0; err == EGO_OK && i < n; i++) {
        if (shots[i] >= v->shots)
            err = ego_fail(EGO_EFORMAT, "shots from 1 to %zu expected, as %s has, found %u",
                           v->shots, v->name, shots[i] + 1);
        else if (seen[shots[i]])
            err = ego_fail(EGO_EFORMAT, "shot %u is there twice", shots[i] + 1);
        else
            seen[shots[i]] = true;
    }
    free(seen);
    return err;
}

static ego_err read_folder_file(qfvs *q, const char *name, const char *path) {
    ego_qfvs_oracle oracle;
    size_t unit = 0;
    bool wanted;
    EGO_TRY(ego_qfvs_oracle_read(path, &q->judge->arena, &oracle));
    place(q, name, oracle.a, oracle.b, &unit, &wanted);
    if (!wanted) return EGO_OK;
    ego_err err = check_shots(q, unit, oracle.shots, oracle.count);
    return err == EGO_OK ? put(q, unit, oracle.shots, oracle.count)
                         : ego_fail_context(err, "%s", path);
}

/* "A_B", or ["A","B"]. */
static ego_err read_concepts(const ego_json *object, char a[256], char b[256]) {
    const ego_json *value = ego_json_get(object, "query");
    const char *first = NULL, *second = NULL, *bar;
    if (ego_json_is_array(value) && ego_json_count(value) == 2) {
        ego_json_string(ego_json_first(value), &first);
        ego_json_string(ego_json_next(ego_json_first(value)), &second);
        if (first && second) {
            snprintf(a, 256, "%s", first);
            snprintf(b, 256, "%s", second);
            return EGO_OK;
        }
    }
    if (!ego_json_string(value, &first) || !(bar = strchr(first, '_')))
        return ego_fail(EGO_EFORMAT,
                        "'query': A_B, or an array of the two concepts, expected, found %s",
                        first ? first : ego_json_kind(value));
    snprintf(a, 256, "%.*s", (int)(bar - first < 255 ? bar - first : 255), first);
    snprintf(b, 256, "%s", bar + 1);
    return EGO_OK;
}

static ego_err read_shots(const ego_json *list, uint32_t **shots, size_t *n) {
    if (!ego_json_is_array(list))
        return ego_fail(EGO_EFORMAT, "'shots': an array expected, found %s", ego_json_kind(list));
    *n = 0;
    *shots = calloc(ego_json_count(list) + 1, sizeof **shots);
    if (!*shots) return ego_fail(EGO_ENOMEM, "out of memory for shots");
    for (const ego_json *x = ego_json_first(list); x; x = ego_json_next(x)) {
        int64_t shot = 0;
        if (!ego_json_integer(x, &shot) || shot < 1 || shot > EGO_ANNOTATIONS_MAX_LINES)
            return ego_fail(EGO_EFORMAT, "'shots': numbers from 1 expected, found %s",
                            ego_json_kind(x));
        (*shots)[(*n)++] = (uint32_t)shot - 1;
    }
    return EGO_OK;
}

static ego_err read_prediction(void *context, const ego_json *object, size_t number) {
    qfvs *q = context;
    char room[EGO_PREDICTION_KEY], a[256], b[256];
    const char *name;
    uint32_t *shots = NULL;
    size_t unit = 0, n = 0;
    bool wanted;
    (void)number;
    if (ego_prediction_failed(object)) return ego__judge_failed(q->judge), EGO_OK;
    EGO_TRY(ego__judge_key(object, "video", room, &name));
    EGO_TRY(read_concepts(object, a, b));
    ego_err err = read_shots(ego_json_get(object, "shots"), &shots, &n);
    if (err == EGO_OK) {
        place(q, name, a, b, &unit, &wanted);
        if (wanted) err = check_shots(q, unit, shots, n);
        if (wanted && err == EGO_OK) err = put(q, unit, shots, n);
    }
    free(shots);
    return err;
}

/* ---- the whole ----------------------------------------------------------------------------------- */

static ego_err add_metrics(qfvs *q) {
    static const char *const names[] = {"precision", "recall", "f1"};
    ego_tally *tally = &q->judge->out->tally;
    size_t all = q->videos.count;
    for (size_t c = 0; c < 3; c++)
        for (size_t v = 0; v < all; v++) {
            ego_metric *metric;
            EGO_TRY(ego_tally_add(tally, EGO_METRIC_MEAN, c * all + v, 0, &metric, "%s_%s",
                                  names[c], videos(q)[v].name));
            metric->hidden = c < 2;
        }
    for (size_t c = 0; c < 3; c++)
        EGO_TRY(ego_tally_add(tally, EGO_METRIC_AVERAGE, c * all, all, NULL, "%s", names[c]));
    return EGO_OK;
}

ego_err ego__judge_qfvs(ego__judge *judge) {
    qfvs q = {.judge = judge, .videos = {.size = sizeof(video)}};
    judge->truth.size = sizeof(query);
    ego_err err = read_truth(&q);
    if (err == EGO_OK)
        err = is_folder(judge->predictions)
                  ? each_oracle(&q, judge->predictions, read_folder_file)
                  : ego_predictions_read(judge->predictions, read_prediction, &q);
    if (err == EGO_OK) err = add_metrics(&q);
    ego__list_release(&q.videos);
    ego_keys_release(&q.concepts);
    return err;
}
