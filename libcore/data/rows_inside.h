/* The inside of data/rows.h: what rows.c (the table of rows), rows_pipe.c (the threads and queues),
 * rows_sample.c (one sample), rows_cache.c (a row's place in the cache) and rows_fill.c (all of them
 * into it) share. Not for others. */
#ifndef EGO_DATA_ROWS_INSIDE_H
#define EGO_DATA_ROWS_INSIDE_H

#include "base/arena.h"
#include "base/threads.h"
#include "data/cache.h"
#include "data/rows.h"
#include "data/scenes.h"
#include "format/egoclip.h"
#include "media/prepare.h"

#include <pthread.h>
#include <stdatomic.h>

/* What draws are for; each has a stream of its own under (seed, stream). */
typedef enum ego__row_draw {
    EGO__ROW_MOMENT,
    EGO__ROW_BOX,
    EGO__ROW_FLIP,
    EGO__ROW_PARTNER,
    EGO__ROW_REPLACE,
    EGO__ROW_ORDER,
    EGO__ROW_COLOUR
} ego__row_draw;

/* A row that cannot be used. */
typedef struct ego__row_fault {
    size_t row;
    char *message; /* NULL when memory ran out */
    struct ego__row_fault *next;
} ego__row_fault;

/* A submitted row on its way. It is in one queue or with one thread at a time. */
typedef struct ego__row_job {
    ego_row_sample sample; /* in the making */
    uint64_t stream;       /* the caller's, under the seed */
    int tries;             /* rows that were bad */
    bool has_key;          /* its row has one: the cache was asked */
    ego_cache_key key;
    bool done; /* it came back; known to the caller's thread */
    ego_err err;
    char *message;          /* with err */
    ego__row_fault *faults; /* the latest first */
    struct ego__row_job *next;
} ego__row_job;

typedef struct ego__rows_thread {
    struct ego_rows *rows;
    pthread_t thread;
} ego__rows_thread;

struct ego_rows {
    ego_rows_options options; /* with copies of its texts */
    char *texts[3];           /* the copies */
    ego_arena arena;          /* of the table */
    ego_egoclip table;
    ego_scenes *scenes; /* NULL: no partners */
    uint64_t seed;      /* the stream that all streams are derived from */
    uint32_t *order;    /* (count) */
    uint64_t epoch;     /* of `order` */
    bool ordered;
    bool *told;       /* (count) rows whose fault was reported */
    int shorter;      /* R, augmenting, or more than any frame has; 0 otherwise */
    ego_cache *cache; /* or NULL */
    size_t most;      /* samples outstanding */
    /* the caller's side */
    ego__row_job *head, *tail; /* outstanding, in order */
    size_t outstanding;
    /* between; each has room for all jobs, so that no push waits */
    ego_queue *missing; /* to be decoded */
    ego_queue *todo;    /* to be looked for in the cache, or, when decoded, prepared */
    ego_queue *finished;
    atomic_bool stop;
    ego__rows_thread *threads;
    unsigned n_threads; /* started */
    pthread_mutex_t lock;
    ego_rows_counts counts;
    char *trouble;      /* of the cache, to be told */
    bool trouble_known; /* it was or will be told */
};

/* What a preparing thread works with. */
typedef struct ego__row_bench {
    ego_rows *rows;
    ego_preparer *preparer;
    uint8_t *rgb; /* pictures from the cache */
    size_t bytes;
    int *moments; /* (F) which of its moments each frame shows */
    int *in_turn; /* (F) 0, 1, ... */
} ego__row_bench; /* {0} until it is made */

/* ---- rows.c ---- */

uint64_t ego__rows_draw(const ego_rows *rows, uint64_t stream, ego__row_draw what);
void ego__rows_count(ego_rows *rows, int64_t *counter, int64_t by);
/* The options of a reader of clips: `all` moments, or those that a request draws. */
ego_clips_options ego__rows_clips(const ego_rows *rows, bool all);

/* Puts a fault with this thread's latest message before the others. */
void ego__rows_add_fault(ego__row_fault **faults, size_t row);
/* Tells and frees them, the earliest first, and what trouble there was with the cache. */
void ego__rows_tell(ego_rows *rows, ego__row_fault *faults);
void ego__rows_free_faults(ego__row_fault *faults);

/* ---- rows_cache.c ---- */

/* The key of a row's clip. Fails when its video is not to be found. */
ego_err ego__rows_key(const ego_rows *rows, size_t row, ego_cache_key *key);
/* Adds a clip with all its moments; the key is from before it was read, lest the file changed in
 * between. Trouble is kept to be told. */
void ego__rows_store(ego_rows *rows, ego_cache_key key, const ego_clip *clip);

/* ---- rows_sample.c ---- */

ego_err ego__row_bench_init(ego_rows *rows, ego__row_bench *b);
void ego__row_bench_release(ego__row_bench *b); /* also after a failed init */
/* Makes the job's sample, from the clip that was read or else from the cache; *missing when it is
 * not there and has to be read first. */
ego_err ego__row_prepare(ego__row_bench *b, ego__row_job *job, bool *missing);

/* ---- rows_pipe.c ---- */

ego_err ego__rows_start(ego_rows *rows);
/* Stops the threads and frees what is outstanding; safe when they never started. */
void ego__rows_stop(ego_rows *rows);

#endif
