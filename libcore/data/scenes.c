#include "data/scenes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ego_scenes {
    uint32_t *rows;  /* (n) by scene, ascending within */
    uint32_t *scene; /* (n) of each row */
    uint32_t *first; /* (scenes + 1) where each begins in `rows` */
};

typedef struct place {
    const char *video;
    double bin;
    uint32_t row;
} place;

static int by_bin(const place *a, const place *b) {
    int videos = a->video == b->video ? 0 : strcmp(a->video, b->video);
    if (videos) return videos;
    return (a->bin > b->bin) - (a->bin < b->bin);
}

static int by_scene(const void *x, const void *y) {
    const place *a = x, *b = y;
    int scenes = by_bin(a, b);
    return scenes ? scenes : (a->row > b->row) - (a->row < b->row);
}

ego_err ego_scenes_new(const ego_narrated_clip *clips, size_t n, double seconds, ego_scenes **out) {
    ego_scenes *s = calloc(1, sizeof *s);
    place *places = malloc((n + !n) * sizeof *places);
    if (s) s->rows = malloc((3 * n + 1) * sizeof *s->rows);
    if (!s || !places || !s->rows) {
        free(places);
        ego_scenes_free(s);
        return ego_fail(EGO_ENOMEM, "out of memory for the scenes of %zu rows", n);
    }
    s->scene = s->rows + n;
    s->first = s->scene + n;
    for (size_t i = 0; i < n; i++) {
        double bin = floor(clips[i].narration_time / seconds);
        places[i] = (place){clips[i].video, isfinite(bin) ? bin : INFINITY, (uint32_t)i};
    }
    qsort(places, n, sizeof *places, by_scene);
    uint32_t scenes = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || by_bin(&places[i - 1], &places[i]) != 0) s->first[scenes++] = (uint32_t)i;
        s->rows[i] = places[i].row;
        s->scene[places[i].row] = scenes - 1;
    }
    s->first[scenes] = (uint32_t)n;
    free(places);
    *out = s;
    return EGO_OK;
}

void ego_scenes_free(ego_scenes *s) {
    if (!s) return;
    free(s->rows);
    free(s);
}

const uint32_t *ego_scenes_of(const ego_scenes *s, size_t row, size_t *count) {
    uint32_t scene = s->scene[row];
    *count = s->first[scene + 1] - s->first[scene];
    return s->rows + s->first[scene];
}
