#include "task/qa_head.h"

#include "base/buf.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

ego_tensor *ego_qa_logits(ego_ctx *cx, ego_head *head, const ego_tensor *x, ego_dropout drop) {
    ego_linear_params *p = head->params.qa.projector;
    ego_tensor *h = ego_linear(cx, x, &p[0].weight, &p[0].bias, EGO_ACT_RELU, NULL);
    return ego_linear(cx, ego_drop(cx, h, drop), &p[1].weight, &p[1].bias, EGO_ACT_NONE, NULL);
}

ego_err ego_qa_head_open(const char *path, ego_head **head) {
    ego_weights *weights;
    EGO_TRY(ego_weights_open(path, &weights));
    bool moments = ego_weights_find(weights, "qa_moments.projector_2.weight") != NULL;
    ego_err err = ego_head_from_weights(weights, moments ? &ego_head_qa_moments : &ego_head_qa, head);
    ego_weights_close(weights);
    return err;
}

static bool of_moments(const ego_head *head) { return head->kind == &ego_head_qa_moments; }

int64_t ego_qa_head_classes(const ego_head *head) {
    return of_moments(head) ? head->config.qa_moments.answers : head->config.qa.answers;
}

int64_t ego_qa_head_windows(const ego_head *head) { return of_moments(head) ? head->config.qa_moments.windows : 0; }

ego_err ego_qa_head_answers(const ego_head *head, const char *path, ego_arena *arena,
                            ego_names *names) {
    const char *note = ego_head_note(head, "answers");
    int64_t classes = ego_qa_head_classes(head);
    *names = (ego_names){0};
    if (path)
        EGO_TRY(ego_names_read(path, arena, names));
    else if (note)
        EGO_TRY(
            ego_names_parse(note, strlen(note), head->path ? head->path : "answers", arena, names));
    else
        return EGO_OK;
    if ((int64_t)names->count != classes)
        return ego_fail(EGO_EINPUT,
                        "%s: expected an answer for each of the head's %" PRId64
                        " classes, found %zu",
                        path         ? path
                        : head->path ? head->path
                                     : "answers",
                        classes, names->count);
    return EGO_OK;
}

ego_err ego_qa_head_set_answers(ego_head *head, const ego_names *names) {
    ego_buf text = {0};
    for (size_t i = 0; i < names->count; i++) {
        ego_buf_text(&text, names->names[i]);
        ego_buf_char(&text, '\n');
    }
    ego_err err = ego_buf_err(&text);
    if (err == EGO_OK) err = ego_head_set_note(head, "answers", text.data ? text.data : "");
    ego_buf_release(&text);
    return err;
}

bool ego_qa_head_inside(const ego_weights *weights) {
    return ego_weights_find(weights, "qa_moments.projector_2.weight") ||
           (ego_weights_find(weights, "projector_1.weight") && ego_weights_find(weights, "projector_2.weight"));
}

void ego_qa_best(const float *scores, size_t n, size_t k, size_t *order) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        float s = isnan(scores[i]) ? -INFINITY : scores[i];
        size_t at = found;
        while (at && !(scores[order[at - 1]] >= s)) at--;
        if (at >= k) continue;
        if (found < k) found++;
        memmove(order + at + 1, order + at, (found - 1 - at) * sizeof *order);
        order[at] = i;
    }
}
