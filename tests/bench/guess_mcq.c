/* How well EgoMCQ can be guessed without understanding it: what a trained model must beat by far.
 *
 *     guess_mcq EGOMCQ.json VIDEO_ROOT EGOCLIP.csv
 *
 * Two guessers. "text" sees everything but the pictures: it has learned from EGOCLIP.csv how long clips of each
 * verb last, and takes the choice whose length fits the query's verb best against all others. "colour" sees
 * how much of each clip's pictures has each of eight colours, and takes the clip with most of the colours that the
 * query names. Ties, and queries that name none, are drawn. For each type: the share guessed right, its 95 %
 * interval (Wilson 1927) and chance. */
#include "base/arena.h"
#include "base/rng.h"
#include "data/clips.h"
#include "format/egoclip.h"
#include "format/egomcq.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLOURS = 8, TYPES = 3, CHOICES = 16, LOOKED_AT = 96 };
static const char *const colour_names[COLOURS] = {"red",  "orange", "yellow", "green",
                                                  "blue", "purple", "white",  "black"};

typedef struct tally {
    int asked[TYPES], right[TYPES];
    double chance[TYPES];
} tally;

/* ---- by the text ---------------------------------------------------------------------------------------------- */

/* Mean and spread of the logarithm of clips' lengths: of each verb, and of all (the last). */
typedef struct lengths {
    double n[EGO_VERB_TAGS + 1], sum[EGO_VERB_TAGS + 1], squares[EGO_VERB_TAGS + 1];
} lengths;

static double log_length(const ego_narrated_clip *c) { return log(fmax(c->end - c->start, 1e-3)); }

static void learn_lengths(const ego_egoclip *rows, lengths *l) {
    for (size_t i = 0; i < rows->count; i++) {
        double x = log_length(&rows->clips[i]);
        size_t verb = rows->clips[i].verbs.count ? rows->clips[i].verbs.ids[0] : EGO_VERB_TAGS;
        for (size_t k = verb;; k = EGO_VERB_TAGS) {
            l->n[k]++, l->sum[k] += x, l->squares[k] += x * x;
            if (k == EGO_VERB_TAGS) break;
        }
    }
}

static double log_likelihood(const lengths *l, size_t k, double x) {
    double mean = l->sum[k] / l->n[k];
    double spread = sqrt(fmax(l->squares[k] / l->n[k] - mean * mean, 1e-4));
    return -log(spread) - 0.5 * pow((x - mean) / spread, 2);
}

static double fit_of_length(const lengths *l, const ego_mcq_question *q, size_t choice) {
    size_t verb = q->query.verbs.count ? q->query.verbs.ids[0] : EGO_VERB_TAGS;
    if (l->n[verb] < 10) return 0;
    double x = log_length(&q->choices[choice]);
    return log_likelihood(l, verb, x) - log_likelihood(l, EGO_VERB_TAGS, x);
}

/* ---- by colour ------------------------------------------------------------------------------------------------- */

/* Which of the eight a pixel has, or -1. */
static int colour_of(const uint8_t *p) {
    int most = p[0] > p[1] ? p[0] : p[1], least = p[0] < p[1] ? p[0] : p[1];
    most = p[2] > most ? p[2] : most, least = p[2] < least ? p[2] : least;
    double value = most / 255.0, grey = most ? 1 - (double)(most - least) / most : 1;
    if (value < 0.22) return 7;
    if (grey > 0.85) return value > 0.8 ? 6 : -1;
    if (grey > 0.5) return -1;
    double range = most - least, hue;
    if (most == p[0])
        hue = 60 * (p[1] - p[2]) / range;
    else if (most == p[1])
        hue = 120 + 60 * (p[2] - p[0]) / range;
    else
        hue = 240 + 60 * (p[0] - p[1]) / range;
    if (hue < 0) hue += 360;
    static const double until[] = {14, 40, 70, 170, 255, 320, 360};
    static const int names[] = {0, 1, 2, 3, 4, 5, 0};
    for (int i = 0; i < 7; i++)
        if (hue <= until[i]) return names[i];
    return -1;
}

static void count_colours(const ego_clip *clip, int frames, double share[COLOURS]) {
    size_t n = (size_t)frames * (size_t)clip->width * (size_t)clip->height;
    for (size_t i = 0; i < n; i++) {
        int c = colour_of(clip->pictures + 3 * i);
        if (c >= 0) share[c] += 1.0 / (double)n;
    }
}

static bool names_colour(const char *text, const char *colour) {
    const char *at = strstr(text, colour);
    return at && (at == text || at[-1] == ' ') && at[strlen(colour)] == ' ';
}

/* ---- guessing --------------------------------------------------------------------------------------------------- */

static void count_guess(tally *t, const ego_mcq_question *q, const double *score, uint64_t stream) {
    double best = -INFINITY;
    size_t ties[CHOICES], n = 0;
    for (size_t k = 0; k < q->count; k++) {
        if (score[k] > best) best = score[k], n = 0;
        if (score[k] == best) ties[n++] = k;
    }
    size_t guess = ties[ego_rng_below(stream, ego_rng_mix(strtoull(q->id, NULL, 10)), (uint32_t)n)];
    t->asked[q->type]++;
    t->right[q->type] += guess == q->answer;
    t->chance[q->type] += 1.0 / (double)q->count;
}

/* Every clip that is a choice, each once, in the order of the videos. */
typedef struct looked {
    const ego_narrated_clip *clip;
    double share[COLOURS];
} looked;

static int by_place(const void *a, const void *b) {
    const ego_narrated_clip *x = ((const looked *)a)->clip, *y = ((const looked *)b)->clip;
    int order = strcmp(x->video, y->video);
    if (order) return order;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static size_t distinct_choices(const ego_mcq *questions, looked *all) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < questions->count; i++)
        for (size_t k = 0; k < questions->questions[i].count; k++)
            all[n++] = (looked){.clip = &questions->questions[i].choices[k]};
    qsort(all, n, sizeof *all, by_place);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || by_place(&all[kept - 1], &all[i])) all[kept++] = all[i];
    return kept;
}

static ego_err take(ego_clips *clips, looked *all) {
    ego_clip *clip;
    EGO_TRY(ego_clips_next(clips, &clip));
    if (clip->err == EGO_OK) count_colours(clip, 1, all[clip->tag].share);
    ego_clip_free(clip);
    return EGO_OK;
}

static ego_err look(const char *video_root, looked *all, size_t n) {
    ego_clips *clips;
    ego_clips_options options = {.video_root = video_root, .frames = 1, .size = LOOKED_AT,
                                 .shorter = LOOKED_AT};
    EGO_TRY(ego_clips_open(&options, &clips));
    ego_err err = EGO_OK;
    for (size_t i = 0; i < n && err == EGO_OK; i++) {
        if (!ego_clips_room(clips)) err = take(clips, all);
        ego_clip_request request = {.video = all[i].clip->video, .start = all[i].clip->start,
                                    .end = all[i].clip->end, .tag = i};
        if (err == EGO_OK) err = ego_clips_submit(clips, &request);
    }
    if (err == EGO_OK) err = ego_clips_flush(clips);
    while (err == EGO_OK && ego_clips_outstanding(clips)) err = take(clips, all);
    ego_clips_close(clips);
    return err;
}

static void guess_by_colour(const looked *all, size_t n, const ego_mcq_question *q, tally *t) {
    double score[CHOICES] = {0};
    for (size_t k = 0; k < q->count; k++) {
        looked wanted = {.clip = &q->choices[k]};
        const looked *found = bsearch(&wanted, all, n, sizeof *all, by_place);
        for (int c = 0; c < COLOURS; c++)
            if (names_colour(q->query.text, colour_names[c])) score[k] += found->share[c];
    }
    count_guess(t, q, score, ego_rng_stream(1, 'c'));
}

static void report(const char *name, const tally *t) {
    static const char *const types[TYPES] = {"", "inter", "intra"};
    for (int k = 1; k < TYPES; k++) {
        double n = t->asked[k], z = 1.96, p = n > 0 ? t->right[k] / n : 0;
        if (n == 0) continue;
        double middle = (p + z * z / (2 * n)) / (1 + z * z / n);
        double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
        printf("%-6s %s  %5.1f %%  (%.1f to %.1f; %d of %d; chance %.1f)\n", name, types[k], 100 * p,
               100 * (middle - half), 100 * (middle + half), t->right[k], t->asked[k],
               100 * t->chance[k] / n);
    }
}

static ego_err guess_all(char **argv, ego_arena *arena) {
    ego_mcq questions;
    ego_egoclip rows;
    lengths l = {{0}};
    tally by_text = {{0}}, by_colour = {{0}};
    EGO_TRY(ego_mcq_read(argv[1], arena, &questions));
    EGO_TRY(ego_egoclip_read(argv[3], arena, &rows));
    learn_lengths(&rows, &l);
    size_t choices = 0;
    for (size_t i = 0; i < questions.count; i++) choices += questions.questions[i].count;
    looked *all = calloc(choices, sizeof *all);
    if (!all) return ego_fail(EGO_ENOMEM, "out of memory for %zu choices", choices);
    size_t distinct = distinct_choices(&questions, all);
    ego_err err = look(argv[2], all, distinct);
    for (size_t i = 0; i < questions.count && err == EGO_OK; i++) {
        const ego_mcq_question *q = &questions.questions[i];
        if (q->count > CHOICES) continue;
        double score[CHOICES];
        for (size_t k = 0; k < q->count; k++) score[k] = fit_of_length(&l, q, k);
        count_guess(&by_text, q, score, ego_rng_stream(1, 't'));
        guess_by_colour(all, distinct, q, &by_colour);
    }
    free(all);
    EGO_TRY(err);
    report("text", &by_text);
    report("colour", &by_colour);
    return EGO_OK;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "guess_mcq EGOMCQ.json VIDEO_ROOT EGOCLIP.csv\n");
        return 2;
    }
    ego_arena arena;
    ego_arena_init(&arena, 1 << 20);
    ego_err err = guess_all(argv, &arena);
    ego_arena_release(&arena);
    if (err != EGO_OK) fprintf(stderr, "guess_mcq: %s\n", ego_err_message());
    return err != EGO_OK;
}
