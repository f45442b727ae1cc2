/* Query-focused summaries: the concepts of every five-second shot, and for queries of two concepts the
 * shots that show them best. As in the published set there are four test videos, P01 to P04; a head learns
 * from more, which are a set of their own. */
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "synth/annotate.h"
#include "synth/stage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TEST_VIDEOS = 4,
    TRAIN_VIDEOS = 40,
    QUERIES = 12,
    EXTRA = 6,
    CONCEPTS = EGO_KIND_COUNT + EGO_HUE_COUNT + EGO_VERB_COUNT + EXTRA
};
enum {
    FIRST_HUE = EGO_KIND_COUNT,
    FIRST_VERB = FIRST_HUE + EGO_HUE_COUNT,
    FIRST_EXTRA = FIRST_VERB + EGO_VERB_COUNT
};
enum { HANDS, LEFT_HAND, RIGHT_HAND, PERSON, OPENED, STILL };

/* A concept in a shot: 0 absent, 1 seen, 2 acted upon. */
typedef struct shot_levels {
    unsigned char level[CONCEPTS];
} shot_levels;

/* "pick up" becomes "PickUp": one word, as in the published set. */
static void concept_name(int concept, ego_buf *text) {
    static const char *const extras[EXTRA] = {"hands",  "left hand", "right hand",
                                              "person", "opened",    "still"};
    const char *word = concept < FIRST_HUE     ? ego_kind_infos[concept].word
                       : concept < FIRST_VERB  ? ego_hue_words[concept - FIRST_HUE]
                       : concept < FIRST_EXTRA ? ego_verb_infos[concept - FIRST_VERB].word
                                               : extras[concept - FIRST_EXTRA];
    bool start = true;
    for (; *word; word++) {
        if (*word == ' ')
            start = true;
        else
            ego_buf_char(text, start ? (char)(*word - 'a' + 'A') : *word);
        if (*word != ' ') start = false;
    }
}

static const char *folder(const ego_synth_set *set) {
    return set->split == EGO_TRAIN ? "qfvs_train" : "qfvs";
}

static void raise(shot_levels *shot, int concept, int level) {
    if (shot->level[concept] < level) shot->level[concept] = (unsigned char)level;
}

static void note_thing(shot_levels *shot, const ego_script *s, int thing, int level) {
    raise(shot, (int)s->things[thing].kind, level);
    if (level > 1) raise(shot, FIRST_HUE + (int)s->things[thing].hue, level);
}

/* What the camera sees at one frame. */
static void note_view(shot_levels *shot, const ego_script *s, int frame) {
    ego_stage stage;
    ego_stage_set(s, frame, &stage);
    for (int i = 0; i < s->thing_count; i++) {
        ego_place place = stage.state.place[i];
        if (place.where == EGO_IN_HAND) note_thing(shot, s, i, 1);
        if (place.where != EGO_ON_COUNTER) continue;
        double x = stage.stand[i].x - stage.camera_x, y = stage.stand[i].y - stage.camera_y;
        if (x > 20 && x < EGO_VIEW_WIDTH - 20 && y > 20 && y < EGO_VIEW_HEIGHT)
            note_thing(shot, s, i, 1);
        if (stage.open[i] > 0.5) raise(shot, FIRST_EXTRA + OPENED, 1);
    }
    raise(shot, FIRST_EXTRA + HANDS, 1);
    if (stage.other.shown) raise(shot, FIRST_EXTRA + PERSON, 1);
}

static void note_shot(shot_levels *shot, const ego_script *s, int start, int end) {
    for (int i = 0; i < 3; i++) note_view(shot, s, start + (end - start) * (2 * i + 1) / 6);
    bool still = true;
    for (int i = 0; i < s->action_count; i++) {
        const ego_action *a = &s->actions[i];
        int middle = (a->start + a->end) / 2;
        if (middle < start || middle >= end) continue;
        still = false;
        if (a->thing >= 0) note_thing(shot, s, a->thing, 2);
        if (a->second >= 0) note_thing(shot, s, a->second, 2);
        raise(shot, FIRST_VERB + (int)a->verb, 2);
        if (a->verb != EGO_LOOK) raise(shot, FIRST_EXTRA + (a->hand ? RIGHT_HAND : LEFT_HAND), 2);
    }
    if (still) raise(shot, FIRST_EXTRA + STILL, 1);
}

static ego_err write_tags(const ego_synth_set *set, int video, const shot_levels *shots, int n) {
    ego_buf text = {0}, name = {0};
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int c = 0; c < CONCEPTS; c++) {
            if (!shots[i].level[c]) continue;
            if (!first) ego_buf_char(&text, ',');
            concept_name(c, &text);
            first = false;
        }
        ego_buf_char(&text, '\n');
    }
    ego_buf_printf(&name, "%s/Dense_per_shot_tags/P%02d/P%02d.txt", folder(set), video + 1,
                   video + 1);
    ego_err err = ego_buf_err(&name);
    if (err == EGO_OK) err = ego_annotation_write(set, name.data, &text);
    ego_buf_release(&text);
    ego_buf_release(&name);
    return err;
}

/* The shots of a query: those where most of it is done or seen, a tenth of the video, in order of time. */
static int choose_shots(const shot_levels *shots, int n, int a, int b, int *chosen) {
    int wanted = n / 10 > 1 ? n / 10 : 1, count = 0;
    for (int score = 4; score > 1 && count < wanted; score--)
        for (int i = 0; i < n && count < wanted; i++)
            if (shots[i].level[a] + shots[i].level[b] == score) chosen[count++] = i;
    for (int i = 1; i < count; i++)
        for (int j = i; j > 0 && chosen[j - 1] > chosen[j]; j--) {
            int swap = chosen[j];
            chosen[j] = chosen[j - 1];
            chosen[j - 1] = swap;
        }
    return count;
}

static ego_err write_oracle(const ego_synth_set *set, int video, const int *chosen, int n, int a,
                            int b) {
    ego_buf text = {0}, name = {0};
    for (int i = 0; i < n; i++) ego_buf_printf(&text, "%d\n", chosen[i] + 1);
    ego_buf_printf(&name, "%s/Oracle_Summaries/P%02d/", folder(set), video + 1);
    concept_name(a, &name);
    ego_buf_char(&name, '_');
    concept_name(b, &name);
    ego_buf_text(&name, "_oracle.txt");
    ego_err err = ego_buf_err(&name);
    if (err == EGO_OK) err = ego_annotation_write(set, name.data, &text);
    ego_buf_release(&text);
    ego_buf_release(&name);
    return err;
}

/* Queries: a kind and another kind or a verb, both acted upon somewhere in the video. */
static ego_err write_oracles(const ego_synth_set *set, int video, const shot_levels *shots, int n,
                             int *chosen) {
    uint64_t stream = ego_rng_stream(set->scripts[video].seed, ego_fnv1a("qfvs")), draws = 0;
    int done[QUERIES][2], count = 0;
    bool acted[CONCEPTS] = {false};
    for (int i = 0; i < n; i++)
        for (int c = 0; c < CONCEPTS; c++) acted[c] |= shots[i].level[c] > 1;
    for (int tries = 0; tries < 400 && count < QUERIES; tries++) {
        int a = (int)ego_rng_below(stream, draws++, EGO_KIND_COUNT),
            b = (int)ego_rng_below(stream, draws++, FIRST_EXTRA);
        if (!acted[a] || !acted[b] || a == b || (b >= FIRST_HUE && b < FIRST_VERB)) continue;
        bool again = false;
        for (int i = 0; i < count; i++)
            again |= (done[i][0] == a && done[i][1] == b) || (done[i][0] == b && done[i][1] == a);
        if (again) continue;
        int k = choose_shots(shots, n, a, b, chosen);
        if (k == 0) continue;
        done[count][0] = a;
        done[count++][1] = b;
        EGO_TRY(write_oracle(set, video, chosen, k, a, b));
    }
    return EGO_OK;
}

/* P01.mp4 is the video itself under the set's name for it. */
static ego_err link_video(const ego_synth_set *set, int video) {
    ego_buf target = {0}, path = {0};
    ego_err err = EGO_OK;
    ego_buf_printf(&target, "../videos/%s/0.mp4", set->scripts[video].uid);
    ego_buf_printf(&path, "%s/%s/P%02d.mp4", set->directory, folder(set), video + 1);
    if (path.failed || target.failed)
        err = ego_fail(EGO_ENOMEM, "out of memory");
    else {
        unlink(path.data);
        if (symlink(target.data, path.data) != 0)
            err = ego_fail(EGO_EIO, "%s: cannot be made: %s", path.data, strerror(errno));
    }
    ego_buf_release(&target);
    ego_buf_release(&path);
    return err;
}

ego_err ego_annotate_qfvs(const ego_synth_set *set) {
    ego_err err = EGO_OK;
    int videos = set->split == EGO_TRAIN ? TRAIN_VIDEOS : TEST_VIDEOS;
    for (int v = 0; v < set->count && v < videos && err == EGO_OK; v++) {
        const ego_script *s = &set->scripts[v];
        int length = EGO_SHOT_SECONDS * EGO_SYNTH_FPS, n = s->frames / length;
        if (n < 1) continue;
        shot_levels *shots = calloc((size_t)n, sizeof *shots);
        int *chosen = malloc((size_t)n * sizeof *chosen);
        if (!shots || !chosen)
            err = ego_fail(EGO_ENOMEM, "%s: out of memory for its shots", s->uid);
        for (int i = 0; i < n && err == EGO_OK; i++)
            note_shot(&shots[i], s, i * length, (i + 1) * length);
        if (err == EGO_OK) err = write_tags(set, v, shots, n);
        if (err == EGO_OK) err = write_oracles(set, v, shots, n, chosen);
        if (err == EGO_OK && set->drawn) err = link_video(set, v);
        free(shots);
        free(chosen);
    }
    return err;
}
