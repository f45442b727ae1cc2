/* What the annotation files share, and egoclip.csv. */
#include "synth/annotate.h"

#include "base/file.h"
#include "base/hash.h"
#include "synth/exact.h"

#include <math.h>
#include <string.h>

ego_err ego_annotation_write(const ego_synth_set *set, const char *name, const ego_buf *text) {
    ego_buf path = {0};
    char hex[65];
    ego_err err;
    ego_buf_printf(&path, "%s/%s", set->directory, name);
    EGO_TRY_OUT(ego_buf_err(&path));
    EGO_TRY_OUT(ego_buf_err(text));
    char *slash = strrchr(path.data, '/');
    *slash = 0;
    EGO_TRY_OUT(ego_make_directory(path.data));
    *slash = '/';
    EGO_TRY_OUT(ego_write_file(path.data, text->data ? text->data : "", text->len));
    EGO_TRY_OUT(ego_sha256_file(path.data, hex));
    ego_buf_json_key(set->files, name);
    ego_buf_json_string(set->files, hex, strlen(hex));
out:
    ego_buf_release(&path);
    return err;
}

void ego_annotation_seconds(ego_buf *text, double seconds) {
    ego_buf_json_double(text, floor(seconds * 1e5 + 0.5) / 1e5);
}

void ego_annotation_thing(const ego_script *script, int thing, ego_buf *text) {
    const ego_thing *t = &script->things[thing];
    ego_buf_printf(text, "%s %s", ego_hue_words[t->hue], ego_kind_infos[t->kind].word);
}

void ego_annotation_tags(const ego_script *s, const ego_action *a, ego_buf *verbs, ego_buf *nouns) {
    ego_buf_printf(verbs, "[%d]", ego_verb_infos[a->verb].tag);
    int tags[3], n = 0;
    if (a->thing >= 0) tags[n++] = ego_kind_infos[s->things[a->thing].kind].tag;
    if (a->verb == EGO_WIPE) tags[n++] = EGO_NOUN_COUNTER;
    if (a->verb == EGO_LOOK) tags[n++] = EGO_NOUN_ROOM;
    if (a->told & EGO_TOLD_SECOND) tags[n++] = ego_kind_infos[s->things[a->second].kind].tag;
    for (int i = 0; i < n; i++) ego_buf_printf(nouns, "%s%d", i ? ", " : "[", tags[i]);
    ego_buf_char(nouns, ']');
}

double ego_mean_gap(const ego_script *s) {
    if (s->action_count < 2) return (double)s->frames / EGO_SYNTH_FPS;
    double first = ego_action_time(&s->actions[0]);
    return (ego_action_time(&s->actions[s->action_count - 1]) - first) / (s->action_count - 1);
}

ego_clip_bounds ego_clip_of(const ego_synth_set *set, const ego_script *s, int action) {
    double t = ego_action_time(&s->actions[action]);
    double half = ego_mean_gap(s) / (2 * set->alpha), duration = (double)s->frames / EGO_SYNTH_FPS;
    return (ego_clip_bounds){fmax(0, t - half), fmin(duration, t + half)};
}

/* ---- egoclip.csv ---------------------------------------------------------------------------------- */

static void write_row(const ego_synth_set *set, const ego_script *s, int action, int index,
                      ego_buf *csv) {
    const ego_action *a = &s->actions[action];
    ego_clip_bounds clip = ego_clip_of(set, s, action);
    ego_buf_printf(csv, "%d\t%s\t", index, s->uid);
    ego_annotation_seconds(csv, (double)s->frames / EGO_SYNTH_FPS);
    ego_buf_printf(csv, "\tnarration_pass_1\t%d\t", action);
    ego_annotation_seconds(csv, ego_action_time(a));
    ego_buf_char(csv, '\t');
    ego_annotation_seconds(csv, clip.start);
    ego_buf_char(csv, '\t');
    ego_annotation_seconds(csv, clip.end);
    ego_buf_printf(csv, "\t%s\t", a->text);
    ego_buf nouns = {0};
    ego_annotation_tags(s, a, csv, &nouns);
    csv->failed |= nouns.failed;
    if (!nouns.failed) ego_buf_printf(csv, "\t%s\n", nouns.data);
    ego_buf_release(&nouns);
}

ego_err ego_annotate_egoclip(const ego_synth_set *set) {
    ego_buf csv = {0};
    int index = 0;
    ego_buf_text(&csv,
                 "clip_idx\tvideo_uid\tvideo_dur\tnarration_source\tnarration_ind\tnarration_time\t"
                 "clip_start\tclip_end\tclip_text\ttag_verb\ttag_noun\n");
    for (int v = 0; v < set->count; v++)
        for (int a = 0; a < set->scripts[v].action_count; a++)
            write_row(set, &set->scripts[v], a, index++, &csv);
    ego_err err = ego_annotation_write(set, "egoclip.csv", &csv);
    ego_buf_release(&csv);
    return err;
}
