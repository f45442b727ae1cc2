/* How alike are a clip and a sentence? The library in thirty lines.
 *
 *     cc similar.c $(pkg-config --cflags --libs ego) -o similar
 *     ./similar ego.safetensors kitchen.mp4 12 14.5 "#C C picks up the cup"
 */
#include <ego.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    if (argc != 6) return fprintf(stderr, "usage: similar MODEL VIDEO START END TEXT\n"), 2;
    ego *e = NULL;
    float *clip = NULL, *text = NULL, probability = 0;
    ego_err err = ego_open(argv[1], NULL, &e);
    if (err == EGO_OK) {
        clip = malloc(ego_dimension(e) * sizeof *clip);
        text = malloc(ego_dimension(e) * sizeof *text);
        if (!clip || !text) return 3;
        err = ego_clip_embedding(e, argv[2], atof(argv[3]), atof(argv[4]), clip);
    }
    if (err == EGO_OK) err = ego_text_embedding(e, argv[5], text);
    if (err == EGO_OK)
        err = ego_match_probability(e, argv[2], atof(argv[3]), atof(argv[4]), argv[5], &probability);
    if (err == EGO_OK)
        printf("cosine %.4f, probability of a match %.4f\n", ego_cosine(clip, text, ego_dimension(e)),
               probability);
    else
        fprintf(stderr, "similar: %s\n", ego_err_message());
    free(clip);
    free(text);
    ego_close(e);
    return err != EGO_OK;
}
