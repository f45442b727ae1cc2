/* egomcq.json: one narration, five clips.
 *
 * The five clips are gathered first, every one by the same rule, and the answer is then drawn among
 * them with equal chances: nothing in the texts, lengths or times of the choices tells which it is.
 * No narration among the five holds for another one's clip. Where the five are of different videos, every one shows
 * every colour that is acted on in any, if the world is rich enough: who looks for the colours of a narration finds
 * them in all five.
 */
#include "base/hash.h"
#include "base/rng.h"
#include "synth/annotate.h"
#include "synth/stage.h"

#include <stdlib.h>

enum { CHOICES = 5, INTER = 1, INTRA = 2, TRIES = 4000, NEIGHBOURS = 12 };

typedef struct clip {
    int video, action;
    unsigned seen, acted; /* hues, a bit each: in the middle of the clip; of what is acted on and with */
} clip;

typedef struct maker {
    const ego_synth_set *set;
    clip *clips; /* of all videos, in order */
    int count;
    uint64_t stream, draws;
} maker;

static int draw(maker *m, int n) { return (int)ego_rng_below(m->stream, m->draws++, (uint32_t)n); }

static const ego_script *script_of(const maker *m, clip c) { return &m->set->scripts[c.video]; }

static const ego_action *action_of(const maker *m, clip c) {
    return &m->set->scripts[c.video].actions[c.action];
}

static bool apart(const maker *m, clip a, clip b) {
    return !ego_narration_fits(script_of(m, a), action_of(m, a), script_of(m, b),
                               action_of(m, b)) &&
           !ego_narration_fits(script_of(m, b), action_of(m, b), script_of(m, a), action_of(m, a));
}

static bool apart_from_all(const maker *m, const clip *group, int n, clip candidate) {
    for (int i = 0; i < n; i++)
        if (!apart(m, group[i], candidate)) return false;
    return true;
}

static ego_kind kind_of(const maker *m, clip c) {
    const ego_action *a = action_of(m, c);
    return a->thing >= 0 ? script_of(m, c)->things[a->thing].kind : EGO_KIND_COUNT;
}

/* The hues of things in view in the middle of the action. */
static unsigned hues_seen(const ego_script *s, const ego_action *a) {
    ego_stage stage;
    unsigned hues = 0;
    ego_stage_set(s, (a->start + a->end) / 2, &stage);
    for (int i = 0; i < s->thing_count; i++) {
        ego_place place = stage.state.place[i];
        int x = stage.stand[i].x - stage.camera_x, y = stage.stand[i].y - stage.camera_y;
        bool in_view = x > 0 && x < EGO_VIEW_WIDTH && y > 0 && y < EGO_VIEW_HEIGHT;
        if (place.where == EGO_IN_HAND || (place.where == EGO_ON_COUNTER && in_view))
            hues |= 1u << s->things[i].hue;
    }
    return hues;
}

static unsigned hues_acted(const ego_script *s, const ego_action *a) {
    return (a->thing >= 0 ? 1u << s->things[a->thing].hue : 0) |
           (a->second >= 0 ? 1u << s->things[a->second].hue : 0);
}

static bool same_colours(const clip *group, int n, clip c) {
    for (int i = 0; i < n; i++)
        if (group[i].acted & ~c.seen || c.acted & ~group[i].seen) return false;
    return true;
}

/* Five clips of five videos. Half of them resemble a member of the group, whichever, in verb or kind. A world of a few
 * videos may have no five of the same colours: then any. */
static bool gather_inter(maker *m, clip group[CHOICES]) {
    int n = 0;
    for (int tries = 0; tries < TRIES && n < CHOICES; tries++) {
        clip c = m->clips[draw(m, m->count)];
        bool used = false;
        for (int i = 0; i < n; i++) used |= group[i].video == c.video;
        bool told_by_colour = tries < 3 * TRIES / 4 && !same_colours(group, n, c);
        if (used || told_by_colour || !apart_from_all(m, group, n, c)) continue;
        if (n > 0 && n % 2 == 1 && tries < TRIES / 2) {
            clip like = group[draw(m, n)];
            bool same_verb = action_of(m, c)->verb == action_of(m, like)->verb;
            if (!same_verb && kind_of(m, c) != kind_of(m, like)) continue;
        }
        group[n++] = c;
    }
    return n == CHOICES;
}

/* Five clips out of a few neighbours in time, in no order. */
static bool gather_intra(maker *m, clip group[CHOICES]) {
    clip first = m->clips[draw(m, m->count)];
    int actions = script_of(m, first)->action_count,
        window = actions < NEIGHBOURS ? actions : NEIGHBOURS;
    int from = first.action - draw(m, window), n = 0;
    if (from > actions - window) from = actions - window;
    if (from < 0) from = 0;
    int start = draw(m, window);
    for (int i = 0; i < window && n < CHOICES; i++) {
        clip c = {.video = first.video, .action = from + (start + i) % window};
        if (apart_from_all(m, group, n, c)) group[n++] = c;
    }
    return n == CHOICES;
}

static void shuffle(maker *m, clip group[CHOICES]) {
    for (int i = CHOICES - 1; i > 0; i--) {
        int j = draw(m, i + 1);
        clip swap = group[i];
        group[i] = group[j];
        group[j] = swap;
    }
}

static void write_clip(const maker *m, clip c, ego_buf *json) {
    const ego_script *s = script_of(m, c);
    const ego_action *a = action_of(m, c);
    ego_clip_bounds bounds = ego_clip_of(m->set, s, c.action);
    ego_buf verbs = {0}, nouns = {0};
    ego_annotation_tags(s, a, &verbs, &nouns);
    ego_buf_char(json, '{');
    ego_buf_json_key(json, "video_uid");
    ego_buf_printf(json, "\"%s\"", s->uid);
    ego_buf_json_key(json, "clip_start");
    ego_annotation_seconds(json, bounds.start);
    ego_buf_json_key(json, "clip_end");
    ego_annotation_seconds(json, bounds.end);
    ego_buf_json_key(json, "clip_text");
    ego_buf_printf(json, "\"%s\"", a->text);
    ego_buf_json_key(json, "tag_verb");
    ego_buf_printf(json, "\"%s\"", verbs.failed ? "" : verbs.data);
    ego_buf_json_key(json, "tag_noun");
    ego_buf_printf(json, "\"%s\"}", nouns.failed ? "" : nouns.data);
    json->failed |= verbs.failed | nouns.failed;
    ego_buf_release(&verbs);
    ego_buf_release(&nouns);
}

static void write_question(maker *m, const clip group[CHOICES], int type, int number,
                           ego_buf *json) {
    int answer = draw(m, CHOICES);
    ego_buf_printf(json, "%s\n\"%d\":{\"answer\":%d,\"types\":%d,\"query\":", number ? "," : "",
                   number, answer, type);
    write_clip(m, group[answer], json);
    ego_buf_text(json, ",\"choices\":{");
    for (int i = 0; i < CHOICES; i++) {
        ego_buf_printf(json, "%s\"%d\":", i ? "," : "", i);
        write_clip(m, group[i], json);
    }
    ego_buf_text(json, "}}");
}

ego_err ego_annotate_egomcq(const ego_synth_set *set) {
    maker m = {.set = set, .stream = ego_rng_stream(set->seed, ego_fnv1a("egomcq"))};
    for (int v = 0; v < set->count; v++) m.count += set->scripts[v].action_count;
    if (m.count == 0) return EGO_OK;
    m.clips = malloc((size_t)m.count * sizeof *m.clips);
    if (!m.clips) return ego_fail(EGO_ENOMEM, "out of memory for the questions' clips");
    int n = 0, wanted = set->questions ? set->questions : 2 * m.count, written = 0;
    for (int v = 0; v < set->count; v++)
        for (int a = 0; a < set->scripts[v].action_count; a++) {
            const ego_script *s = &set->scripts[v];
            m.clips[n++] = (clip){v, a, hues_seen(s, &s->actions[a]), hues_acted(s, &s->actions[a])};
        }
    ego_buf json = {0};
    ego_buf_char(&json, '{');
    for (int i = 0; i < 2 * wanted && written < wanted; i++) {
        clip group[CHOICES];
        bool intra = i % 2;
        if (!(intra ? gather_intra(&m, group) : gather_inter(&m, group))) continue;
        shuffle(&m, group);
        write_question(&m, group, intra ? INTRA : INTER, written++, &json);
    }
    ego_buf_text(&json, "\n}\n");
    ego_err err = ego_annotation_write(set, "egomcq.json", &json);
    ego_buf_release(&json);
    free(m.clips);
    return err;
}
