/* The set as records of our own tools: what to pipe into ego-embed first. */
#include "synth/annotate.h"

#include <string.h>

static void write_records(const ego_synth_set *set, bool clips, ego_buf *out) {
    for (int v = 0; v < set->count; v++) {
        const ego_script *s = &set->scripts[v];
        for (int a = 0; a < s->action_count; a++) {
            ego_buf_printf(out, "{\"id\":\"%s/%d\"", s->uid, a);
            if (clips) {
                ego_clip_bounds clip = ego_clip_of(set, s, a);
                ego_buf_printf(out, ",\"video\":\"%s\",\"start\":", s->uid);
                ego_annotation_seconds(out, clip.start);
                ego_buf_text(out, ",\"end\":");
                ego_annotation_seconds(out, clip.end);
            } else {
                ego_buf_text(out, ",\"text\":");
                ego_buf_json_string(out, s->actions[a].text, strlen(s->actions[a].text));
            }
            ego_buf_text(out, "}\n");
        }
    }
}

ego_err ego_annotate_records(const ego_synth_set *set) {
    const char *names[2][2] = {{"train_narrations.jsonl", "train_clips.jsonl"},
                               {"test_narrations.jsonl", "test_clips.jsonl"}};
    ego_err err = EGO_OK;
    for (int clips = 0; clips < 2 && err == EGO_OK; clips++) {
        ego_buf text = {0};
        write_records(set, clips, &text);
        err = ego_annotation_write(set, names[set->split == EGO_TEST][clips], &text);
        ego_buf_release(&text);
    }
    return err;
}
