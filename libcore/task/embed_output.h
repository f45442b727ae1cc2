/* Where embeddings go: an embedding stream, .npy or .fvecs with their ids beside, or JSON lines.
 *
 * A file is written under another name and renamed when whole. A stream's is FILE.part: locked while in
 * use, kept when the run is interrupted, and continued by `resume` if FILE.part.json says that it was
 * made by the same model and options (base/partial.h).
 */
#ifndef EGO_TASK_EMBED_OUTPUT_H
#define EGO_TASK_EMBED_OUTPUT_H

#include "base/buf.h"
#include "data/record.h"
#include "task/calibration.h"
#include "tensor/tensor.h"

#include <stdio.h>

typedef enum ego_embed_format {
    EGO_EMBED_STREAM,
    EGO_EMBED_NPY,   /* FILE.npy, and FILE.jsonl with a line a row (or failed record) */
    EGO_EMBED_FVECS, /* FILE.fvecs, likewise */
    EGO_EMBED_JSONL  /* the numbers as "embedding" */
} ego_embed_format;

typedef struct ego_embed_output ego_embed_output;

typedef struct ego_embed_output_options {
    ego_embed_format format;
    const char *path;  /* NULL: standard output (stream and jsonl only) */
    FILE *standard;    /* that output */
    const char *const *inputs; /* n_inputs files that are read: none of them is written over */
    size_t n_inputs;
    const char *model; /* the model's name */
    const char *layer; /* of the parts video and text; the fused part has but one */
    const char *provenance; /* JSON text for every record's header; NULL: none */
    const char *run;   /* JSON text: what made this output (provenance and options) */
    bool resume;
} ego_embed_output_options;

ego_err ego_embed_output_open(const ego_embed_output_options *options, ego_embed_output **output);

/* Records that an interrupted run already finished. 0 without resume. */
uint64_t ego_embed_output_done(const ego_embed_output *output);
/* Whether the input's next record is one of these: the caller hands it here instead of embedding it. When the last of
 * them comes, EGO_EINPUT if their ids are not those that were written. */
bool ego_embed_output_has(const ego_embed_output *output);
ego_err ego_embed_output_skip(ego_embed_output *output, const ego_record *record);
/* Those of them that have an error in their place. */
uint64_t ego_embed_output_failed(const ego_embed_output *output);

/* One part ("video", "text", "fused") of a record. `match` is written as "vtm" with the fused part. */
ego_err ego_embed_output_write(ego_embed_output *output, const ego_record *record, const char *part,
                               const ego_tensor *tensor, float match);
ego_err ego_embed_output_error(ego_embed_output *output, const ego_record *record,
                               const char *message);
/* A stream's note about all that came before it. */
ego_err ego_embed_output_calibration(ego_embed_output *output, const ego_calibration *calibration);
/* Hands what was written to the reader at the other end. */
ego_err ego_embed_output_flush(ego_embed_output *output);
/* The output is whole: renames files into place. EGO_EINPUT when the input had fewer records than were done. */
ego_err ego_embed_output_commit(ego_embed_output *output);
/* Frees; without a commit files are removed, but for a stream's FILE.part. Takes NULL. */
void ego_embed_output_close(ego_embed_output *output);

#endif
