/* Query-focused summaries: the concepts of every five-second shot, and for queries of two concepts
 * the shots that show them longest.
 *
 * Concepts are given as by a person who says what goes on: what is done, to what and with what. The
 * camera turns to that; the rest of the counter is in view in most shots of a video, as hands are,
 * and tells none from another. */
#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "synth/annotate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a set: all there are, up to what our readers take. The published set has four, too few to tell
 * a good head from none. */
enum { VIDEOS = 256, QUERIES = 12, EXTRA = 2 };
enum {
    FIRST_HUE = EGO_KIND_COUNT,
    FIRST_VERB = FIRST_HUE + EGO_HUE_COUNT,
    FIRST_EXTRA = FIRST_VERB + EGO_VERB_COUNT,
    CONCEPTS = FIRST_EXTRA + EXTRA
};
enum { PERSON = FIRST_EXTRA, STILL };

/* For how many frames of a shot each concept goes on; 0: it is not there. */
typedef struct shot_times {
    int frames[CONCEPTS];
} shot_times;

/* "pick up" becomes "PicksUp": one word, as in the published set, in the form of narrations. */
static void concept_name(int concept, ego_buf *text) {
    static const char *const extras[EXTRA] = {"person", "still"};
    bool verb = concept >= FIRST_VERB && concept < FIRST_EXTRA, start = true;
    const char *word = concept < FIRST_HUE    ? ego_kind_infos[concept].word
                       : concept < FIRST_VERB ? ego_hue_words[concept - FIRST_HUE]
                       : verb                 ? ego_verb_infos[concept - FIRST_VERB].word
                                              : extras[concept - FIRST_EXTRA];
    for (; *word; word++) {
        if (*word != ' ') ego_buf_char(text, start ? (char)(*word - 'a' + 'A') : *word);
        start = *word == ' ';
        if (!verb || (word[1] && word[1] != ' ')) continue;
        ego_buf_text(text, *word == 'h' ? "es" : "s");
        verb = false; /* its first word alone */
    }
}

static const char *folder(const ego_synth_set *set) {
    return set->split == EGO_TRAIN ? "qfvs_train" : "qfvs";
}

static void note_thing(shot_times *shot, const ego_script *s, int thing, int frames) {
    if (thing < 0) return;
    shot->frames[s->things[thing].kind] += frames;
    shot->frames[FIRST_HUE + (int)s->things[thing].hue] += frames;
}

/* An action belongs to the shot that has its middle. */
static void note_shot(shot_times *shot, const ego_script *s, int start, int end) {
    bool still = true;
    for (int i = 0; i < s->action_count; i++) {
        const ego_action *a = &s->actions[i];
        int middle = (a->start + a->end) / 2;
        if (middle < start || middle >= end) continue;
        int frames = (a->end < end ? a->end : end) - (a->start > start ? a->start : start);
        still = false;
        note_thing(shot, s, a->thing, frames);
        note_thing(shot, s, a->second, frames);
        shot->frames[FIRST_VERB + (int)a->verb] += frames;
        if (a->verb == EGO_TAKE_FROM || a->verb == EGO_HAND_TO) shot->frames[PERSON] += frames;
    }
    if (still) shot->frames[STILL] = end - start;
}

static ego_err write_tags(const ego_synth_set *set, int video, const shot_times *shots, int n) {
    ego_buf text = {0}, name = {0};
    for (int i = 0; i < n; i++) {
        bool first = true;
        for (int c = 0; c < CONCEPTS; c++) {
            if (!shots[i].frames[c]) continue;
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

/* The shots of a query: those in which its concepts go on longest, one added to the other, a tenth
 * of the video, in the order of time. */
static int choose_shots(const shot_times *shots, int n, int a, int b, int *chosen) {
    int wanted = n / 10 > 1 ? n / 10 : 1, count = 0;
    while (count < wanted) {
        int best = -1, most = 0;
        for (int i = 0; i < n; i++) {
            int frames = shots[i].frames[a] + shots[i].frames[b];
            for (int k = 0; k < count; k++)
                if (chosen[k] == i) frames = 0;
            if (frames > most) best = i, most = frames;
        }
        if (best < 0) break;
        int at = count++;
        for (; at > 0 && chosen[at - 1] > best; at--) chosen[at] = chosen[at - 1];
        chosen[at] = best;
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

/* A good query asks for what is seen together, and not all the time. */
static bool is_good(const shot_times *shots, int n, int a, int b) {
    int any = 0, both = 0;
    for (int i = 0; i < n; i++) {
        any += shots[i].frames[a] || shots[i].frames[b];
        both += shots[i].frames[a] && shots[i].frames[b];
    }
    return both > 0 && 2 * any < n;
}

/* Queries: a verb or a kind, and a kind. A video that has no good one is given others. */
static ego_err write_oracles(const ego_synth_set *set, int video, const shot_times *shots, int n,
                             int *chosen) {
    enum { TRIES = 400 }; /* for good ones; as many more for any */
    uint64_t stream = ego_rng_stream(set->scripts[video].seed, ego_fnv1a("qfvs")), draws = 0;
    int done[QUERIES][2], count = 0;
    for (int tries = 0; tries < (count ? TRIES : 2 * TRIES) && count < QUERIES; tries++) {
        int a = (int)ego_rng_below(stream, draws++, EGO_KIND_COUNT),
            b = (int)ego_rng_below(stream, draws++, FIRST_EXTRA);
        if (a == b || (b >= FIRST_HUE && b < FIRST_VERB)) continue;
        if (tries < TRIES && !is_good(shots, n, a, b)) continue;
        bool again = false;
        for (int i = 0; i < count; i++)
            again |= (done[i][0] == a && done[i][1] == b) || (done[i][0] == b && done[i][1] == a);
        int k = again ? 0 : choose_shots(shots, n, a, b, chosen);
        if (k == 0) continue;
        done[count][0] = a;
        done[count++][1] = b;
        EGO_TRY(write_oracle(set, video, chosen, k, b, a)); /* "Cuts_Apple" */
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
    for (int v = 0; v < set->count && v < VIDEOS && err == EGO_OK; v++) {
        const ego_script *s = &set->scripts[v];
        int length = EGO_SHOT_SECONDS * EGO_SYNTH_FPS, n = s->frames / length;
        if (n < 1) continue;
        shot_times *shots = calloc((size_t)n, sizeof *shots);
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
