/* Threads: one pool for arithmetic, one bounded queue for work that runs beside it (decoding).
 *
 * The pool has no opinion about results: a loop body must write only what its index owns, and then the
 * outcome is the same for any number of threads.
 */
#ifndef EGO_BASE_THREADS_H
#define EGO_BASE_THREADS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* Physical cores this process may use: its affinity mask without hyper-thread siblings, and no more than
 * the cgroup's CPU quota rounded up. At least 1. */
unsigned ego_core_count(void);

typedef struct ego_pool ego_pool;

/* A pool of `threads` workers, the caller of ego_parallel being one of them (0: ego_core_count()). */
ego_err ego_pool_new(unsigned threads, ego_pool **pool);
void ego_pool_free(ego_pool *pool); /* takes NULL */
unsigned ego_pool_threads(const ego_pool *pool); /* 1 for NULL */

/* Calls body(context, i, worker) for every i in [0, n), each once, in any order, and returns when all
 * are done. `worker` < ego_pool_threads() tells whose scratch to use. pool may be NULL: then the caller
 * does everything. n < 2^31. One loop at a time; bodies must not call ego_parallel. */
typedef void ego_loop_body(void *context, size_t i, unsigned worker);
void ego_parallel(ego_pool *pool, size_t n, ego_loop_body *body, void *context);

/* A bounded queue of pointers between threads. */
typedef struct ego_queue ego_queue;

ego_err ego_queue_new(size_t capacity, ego_queue **queue);
void ego_queue_free(ego_queue *queue); /* takes NULL; must be empty or its items owned elsewhere */
/* Waits while full. False once the queue is closed: the item was not taken. */
bool ego_queue_push(ego_queue *queue, void *item);
/* Waits while empty. False once the queue is closed and empty. */
bool ego_queue_pop(ego_queue *queue, void **item);
/* Does not wait: false when there is nothing now. */
bool ego_queue_try_pop(ego_queue *queue, void **item);
/* Waits no longer than so many seconds. */
bool ego_queue_pop_within(ego_queue *queue, double seconds, void **item);
/* No more pushes; everyone who waits wakes up. */
void ego_queue_close(ego_queue *queue);

#endif
