/* Heads: the few parameters that a task puts on top of the encoders, in a file of their own.
 *
 * A kind of head describes itself once (head_kinds.c): the numbers of its configuration, and a walk over its
 * parameters that says of each its name, shape, how it starts, whether weight decay applies and where it
 * lives. Opening, verifying, drawing, training and saving are visitors of that walk. Names are those of the
 * official checkpoints. What a head computes stands in task/: vslnet.h, and its neighbours.
 *
 * A head's file is a .safetensors with __metadata__
 *     "ego.head"       {"kind":"nlq.vslnet","backbone":"SHA-256 of the model","config":{"dim":128,…}}
 *     "ego.id"         SHA-256 over its tensors, as of a model
 *     "ego.note.NAME"  texts that the task keeps beside the weights (the answers of a question head)
 * Official .pth and .tar files open too: their kind and configuration are told from names and shapes, and
 * what these do not tell can stand in a sidecar NAME.json, {"kind":…,"config":{…}}, both optional. A
 * training checkpoint whose metadata has "ego.head" opens as the head it trains.
 *
 * A head owns its values: float32 in memory of its own, whatever the file stores (heads are small), so nothing
 * holds the file once it is open. It is used by one ego_ctx at a time, as a model is.
 */
#ifndef EGO_MODEL_HEAD_H
#define EGO_MODEL_HEAD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "format/safetensors.h"
#include "model/params.h"
#include "tensor/backend.h"

#include <stdbool.h>

#define EGO_META_HEAD "ego.head"
#define EGO_META_NOTE "ego.note." /* and the note's name */

/* ---- the kinds: their numbers and where their parameters live ------------------------------------------ */

/* "nlq.vslnet", "nlq.vslnet_small": VSLNet, the span predictor of Ego4D NLQ (Zhang et al. 2020; task/vslnet.h).
 * The small one has no context-query attention. */
typedef struct ego_vslnet_config {
    int64_t video_width; /* of a clip's feature (768) */
    int64_t query_width; /* of a token's (768) */
    int64_t dim;         /* D (128) */
    int64_t heads;       /* (8); D divides by it */
    int64_t positions;   /* the longest sequence (256) */
    int64_t highlighted; /* 1: the small one looks for spans in the highlighted video; 0, as
                            published: it computes that, and answers from the plain encoded video
                            instead, whatever the question */
} ego_vslnet_config;

enum { EGO_VSLNET_CONVS = 4, EGO_VSLNET_KERNEL = 7 };

typedef struct ego_vslnet_encoder {
    ego_param positions; /* (positions, D) */
    struct {
        ego_norm_params norm;
        ego_param depthwise;         /* (D, 1, 7) */
        ego_linear_params pointwise; /* (D, D, 1) */
    } conv[EGO_VSLNET_CONVS];
    ego_norm_params norm1, norm2;
    ego_linear_params query, key, value, out;
} ego_vslnet_encoder;

typedef struct ego_vslnet_params {
    ego_linear_params video_affine, query_affine;
    ego_vslnet_encoder encoder; /* of video and query alike */
    struct {
        ego_param video, query, both; /* w4C, w4Q, w4mlu */
        ego_linear_params linear;     /* (D, 4D) */
    } attention;                      /* cq_attention: not of the small one */
    ego_param pool;                   /* the query's weighted sum: D weights of one output */
    ego_linear_params concat;         /* (D, 2D) */
    ego_linear_params highlight;      /* (1, D) */
    ego_vslnet_encoder span_encoder;
    ego_norm_params start_norm, end_norm;
    ego_linear_params start[2], end[2]; /* (D, 2D), (1, D) */
} ego_vslnet_params;

/* "qa": EgoTaskQA's answers out of the fused class state. */
typedef struct ego_qa_config {
    int64_t width;   /* of the state (768) */
    int64_t answers; /* A */
} ego_qa_config;

typedef struct ego_qa_params {
    ego_linear_params projector[2]; /* (A, width), (A, A) */
} ego_qa_params;

/* A Transformer encoder's layer; whether norms stand before or behind the residuals is the head's business. */
typedef struct ego_encoder_layer {
    ego_linear_params qkv, out; /* in_proj_*: (3D, D); (D, D) */
    ego_linear_params fc1, fc2;
    ego_norm_params norm1, norm2;
} ego_encoder_layer;

/* "qa.moments": EgoTaskQA's answers out of many short clips of the interval, of which the question picks those it is
 * about (task/qa_moments.h). Ours: the published head has seen the interval as one clip. */
typedef struct ego_qa_moments_config {
    int64_t width;   /* P, of a window's embedding (256) */
    int64_t text;    /* D, of a token's state (768) */
    int64_t dim;     /* of the layers (256) */
    int64_t heads;   /* (4); dim divides by it */
    int64_t layers;  /* (2), at most EGO_QA_MOMENTS_LAYERS */
    int64_t hidden;  /* of the feed-forward networks (1024) */
    int64_t windows; /* W, of an interval (20), at most EGO_QA_WINDOWS */
    int64_t moments; /* K ≥ 2, that a question looks for (3): the first with all of it, the others with words that
                        they choose */
    int64_t answers; /* A */
} ego_qa_moments_config;

enum { EGO_QA_MOMENTS_LAYERS = 12, EGO_QA_WINDOWS = 256 };

typedef struct ego_qa_moments_params {
    ego_param chooser;             /* (K − 1, D): which words a moment is looked for with */
    ego_linear_params chosen;      /* (D, D): what it is held against */
    ego_param times, kinds;        /* (W, P), (K, dim) */
    ego_linear_params moment_seen, moment_match, moment_time; /* (dim, P) */
    ego_linear_params window_seen, window_match;              /* (dim, P) */
    ego_param positions;           /* (W, dim) */
    ego_linear_params word;        /* (dim, D) */
    ego_encoder_layer layer[EGO_QA_MOMENTS_LAYERS];
    ego_norm_params norm;
    ego_linear_params projector[2]; /* (dim, dim), (A, dim) */
} ego_qa_moments_params;

/* "qfvs": how well each shot answers the query, out of a post-norm Transformer over a segment's shots. */
typedef struct ego_qfvs_config {
    int64_t width;   /* D, of a shot's feature (768) */
    int64_t heads;   /* (2) */
    int64_t layers;  /* (2), at most EGO_QFVS_LAYERS */
    int64_t hidden;  /* of the feed-forward networks (2048) */
    int64_t middle;  /* of the projector (8) */
    int64_t parts;   /* of a shot, for its feature (1), at most EGO_QFVS_PARTS; task/summary.h */
    int64_t dual;    /* 1: the feature is of dual embeddings (0); task/summary.h */
    int64_t prompts; /* an ego_qfvs_words (0): how a query is put; task/qfvs.h */
} ego_qfvs_config;

enum { EGO_QFVS_LAYERS = 12, EGO_QFVS_PARTS = 64 };

typedef struct ego_qfvs_params {
    ego_encoder_layer layer[EGO_QFVS_LAYERS];
    ego_linear_params projector, score; /* (middle, D), (1, middle) */
} ego_qfvs_params;

enum { EGO_HEAD_COUNT = -1 };

/* A number of a configuration, under its name in JSON. */
typedef struct ego_head_key {
    const char *name;
    size_t offset; /* of the int64_t in its configuration */
    int64_t initial, least, most;
    const char *tensor; /* whose dimension `dim` tells it; NULL: no shape does */
    int dim;            /* EGO_HEAD_COUNT: how often `tensor` is there, its '#' counting from 0 */
} ego_head_key;

typedef union ego_head_config {
    ego_vslnet_config vslnet;
    ego_qa_config qa;
    ego_qa_moments_config qa_moments;
    ego_qfvs_config qfvs;
} ego_head_config;

typedef union ego_head_params {
    ego_vslnet_params vslnet;
    ego_qa_params qa;
    ego_qa_moments_params qa_moments;
    ego_qfvs_params qfvs;
} ego_head_params;

/* A kind's own account; see head_kinds.c for how one is written. */
typedef struct ego_head_kind {
    const char *name;
    const ego_head_key *keys; /* key_count of them */
    size_t key_count;
    /* EGO_EINPUT when numbers that are in range each do not go together. */
    ego_err (*check)(const ego_head_config *config);
    /* Calls visit for each parameter, in the order of the checkpoint. */
    ego_err (*visit)(const ego_head_config *config, ego_head_params *params,
                     ego_param_visitor *visit, void *context);
    /* Starts of names in official files that are no parameters; NULL at the end. */
    const char *const *ignored;
} ego_head_kind;

extern const ego_head_kind ego_head_vslnet, ego_head_vslnet_small, ego_head_qa, ego_head_qa_moments,
    ego_head_qfvs;
/* All of them; NULL at the end. */
extern const ego_head_kind *const ego_head_kinds[];

/* By name; NULL when there is none. */
const ego_head_kind *ego_head_kind_of(const char *name);

/* The kind's own numbers, as published. */
ego_head_config ego_head_config_default(const ego_head_kind *kind);
/* Sets what the object's members say; an unknown key, and a number out of range, is an error. */
ego_err ego_head_config_read(const ego_head_kind *kind, const ego_json *object,
                             ego_head_config *config);
ego_err ego_head_config_check(const ego_head_kind *kind, const ego_head_config *config);
/* What the shapes of a file's tensors tell; the rest as published. */
ego_head_config ego_head_config_from_shapes(const ego_head_kind *kind, const ego_weights *weights);
/* Appends {"dim":…,…}. */
void ego_head_config_write(const ego_head_kind *kind, const ego_head_config *config, ego_buf *out);

/* ---- a head ---------------------------------------------------------------------------------------------- */

typedef struct ego_head {
    const ego_head_kind *kind;
    ego_head_config config; /* the member of the kind's name: config.vslnet, … */
    ego_head_params params; /* likewise */
    char backbone[65];      /* id of the model its features were made with; "": not known */
    char id[65];            /* of the weights as they were opened or saved last; "": changed since */
    bool random;            /* drawn, not trained */
    ego_dtype dtype;        /* how its file stores it, as ego_head_save takes it: EGO_F32, EGO_F16 */
    const char *path;       /* for messages */
    const char **unused;    /* tensors of its file that are not its own, in sorted order */
    size_t unused_count;
    struct ego_head_note *notes; /* private: ego_head_note */
    ego_arena arena;
} ego_head;

/* Opens a head's file. kind: what it must be; NULL: what the file says. EGO_EMODEL names the tensors that
 * are missing or of another shape, or both kinds where they differ. */
ego_err ego_head_open(const char *path, const ego_head_kind *kind, ego_head **head);
/* The same out of a file that is open already, and may be closed afterwards. */
ego_err ego_head_from_weights(const ego_weights *weights, const ego_head_kind *kind,
                              ego_head **head);

/* A head whose weights are drawn from a seed as its training starts. */
ego_err ego_head_create(const ego_head_kind *kind, const ego_head_config *config, uint64_t seed,
                        ego_head **head);

/* Takes NULL; the backend frees its packing. */
void ego_head_close(ego_head *head, ego_backend *backend);

/* Calls visit for each parameter, in the order of the checkpoint. spec->param->value is float32;
 * spec->param->grad is NULL unless it was made trainable; spec->decay says whether it decays. */
ego_err ego_head_visit(ego_head *head, ego_param_visitor *visit, void *context);
int64_t ego_head_parameters(ego_head *head);

/* Gives every parameter a gradient, zero at first. */
ego_err ego_head_make_trainable(ego_head *head);
/* After the values changed: the backend packs them again when they are next used. */
void ego_head_changed(ego_head *head, ego_backend *backend);

/* The file, whole or not at all. dtype EGO_F32, or EGO_F16 for weights of two and more dimensions. The
 * same weights give the same bytes. Sets head->id. */
ego_err ego_head_save(ego_head *head, const char *path, ego_dtype dtype);

/* Sets the model its features are made with (copied). */
void ego_head_set_backbone(ego_head *head, const char *id);
/* True, with a sentence that says so in `warning`, when the head was trained on another model's features. */
bool ego_head_foreign(const ego_head *head, const char *model_id, ego_buf *warning);

/* A text kept in the file under "ego.note.NAME"; NULL when there is none. Setting copies; NULL takes it away. */
const char *ego_head_note(const ego_head *head, const char *name);
ego_err ego_head_set_note(ego_head *head, const char *name, const char *text);

/* The value of "ego.head", appended. */
void ego_head_describe(const ego_head *head, ego_buf *out);
/* What a file of these weights says of itself but their id, for a checkpoint too: "ego.head", whose text
 * goes to `described`, and the notes, by key. *list is the caller's to free; keys and texts are not. */
ego_err ego_head_metadata(const ego_head *head, ego_buf *described, ego_metadata **list,
                          size_t *count);

/* Whether an opened file is a head and no model: it says so, or has all of a kind's tensors, and no encoder. */
bool ego_weights_are_head(const ego_weights *weights);

#endif
