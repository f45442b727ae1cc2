#define _GNU_SOURCE /* sched_getaffinity */
#include "base/threads.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- how many cores ---------------------------------------------------------------------------- */

/* True when no lower-numbered processor of the mask shares this one's core. */
static bool first_of_its_core(int cpu, const cpu_set_t *mask) {
    char path[96], line[256] = "";
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *f = fopen(path, "re");
    if (!f) return true;
    bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    if (!read) return true;
    for (char *at = line; *at;) { /* "0,4" or "0-1" */
        char *end;
        long from = strtol(at, &end, 10), to = from;
        if (end == at) break;
        if (*end == '-') to = strtol(end + 1, &end, 10);
        for (long other = from; other <= to && other < cpu; other++)
            if (other >= 0 && CPU_ISSET((size_t)other, mask)) return false;
        at = *end ? end + 1 : end;
    }
    return true;
}

/* Whole cores that the control group allows, 0 for no limit. */
static unsigned cgroup_limit(void) {
    double quota = -1, period = 0;
    FILE *f = fopen("/sys/fs/cgroup/cpu.max", "re"); /* version 2: "max 100000" or "150000 100000" */
    if (f) {
        if (fscanf(f, "%lf %lf", &quota, &period) != 2) quota = -1;
        fclose(f);
    } else { /* version 1 */
        FILE *q = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
        FILE *p = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
        if (!q || !p || fscanf(q, "%lf", &quota) != 1 || fscanf(p, "%lf", &period) != 1) quota = -1;
        if (q) fclose(q);
        if (p) fclose(p);
    }
    if (quota <= 0 || period <= 0) return 0;
    unsigned whole = (unsigned)(quota / period);
    return whole * period < quota ? whole + 1 : whole;
}

unsigned ego_core_count(void) {
    cpu_set_t mask;
    unsigned cores = 0;
    if (sched_getaffinity(0, sizeof mask, &mask) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET((size_t)cpu, &mask) && first_of_its_core(cpu, &mask)) cores++;
    unsigned limit = cgroup_limit();
    if (limit && cores > limit) cores = limit;
    return cores ? cores : 1;
}

/* ---- the pool ------------------------------------------------------------------------------------ */

/* Workers look for a new loop this often before they sleep: a forward pass starts hundreds of loops a
 * few microseconds apart, and waking a sleeper costs about fifty. */
enum { SPINS = 4000 };

typedef struct worker {
    ego_pool *pool;
    unsigned index;
    pthread_t thread;
} worker;

typedef struct job {
    size_t n;
    ego_loop_body *body;
    void *context;
} job;

/* Indices are handed out as tickets: (generation of the loop, index). Whoever takes tickets is `active`, and
 * a loop has ended when all its indices were taken and nobody is active. A worker that wakes late finds no
 * ticket left and holds up nobody; the ticket tells which loop it belongs to, and that loop's job cannot
 * be overwritten meanwhile: jobs take turns, and the next but one cannot begin while anyone is active. */
struct ego_pool {
    unsigned threads, started;
    worker *workers; /* threads - 1 of them, indices 1 … */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_uint_least64_t ticket; /* generation · 2^32 + next index */
    atomic_uint active;
    atomic_bool stop;
    job jobs[2]; /* of even and odd generations */
};

static uint32_t generation(uint64_t ticket) { return (uint32_t)(ticket >> 32); }

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void run_tickets(ego_pool *pool, unsigned index) {
    atomic_fetch_add(&pool->active, 1);
    for (;;) {
        uint64_t ticket = atomic_fetch_add(&pool->ticket, 1);
        const job *j = &pool->jobs[generation(ticket) & 1];
        if ((uint32_t)ticket >= j->n) break;
        j->body(j->context, (uint32_t)ticket, index);
    }
    atomic_fetch_sub(&pool->active, 1);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    ego_pool *pool = self->pool;
    uint32_t seen = 0;
    for (;;) {
        for (int spin = 0; spin < SPINS && generation(atomic_load(&pool->ticket)) == seen; spin++)
            relax();
        if (generation(atomic_load(&pool->ticket)) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (generation(atomic_load(&pool->ticket)) == seen)
                pthread_cond_wait(&pool->wake, &pool->lock);
            pthread_mutex_unlock(&pool->lock);
        }
        seen = generation(atomic_load(&pool->ticket));
        if (atomic_load(&pool->stop)) return NULL;
        run_tickets(pool, self->index);
    }
}

ego_err ego_pool_new(unsigned threads, ego_pool **out) {
    if (threads == 0) threads = ego_core_count();
    ego_pool *pool = calloc(1, sizeof *pool);
    if (!pool || !(pool->workers = calloc(threads, sizeof *pool->workers))) {
        free(pool);
        return ego_fail(EGO_ENOMEM, "out of memory for %u threads", threads);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pool->threads = threads;
    for (unsigned i = 1; i < threads; i++) {
        worker *w = &pool->workers[i];
        *w = (worker){.pool = pool, .index = i};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0) {
            ego_pool_free(pool);
            return ego_fail(EGO_ENOMEM, "cannot start thread %u of %u", i + 1, threads);
        }
        pool->started++;
    }
    *out = pool;
    return EGO_OK;
}

/* Starts the next generation with this job. */
static void announce(ego_pool *pool, job next) {
    uint32_t now = generation(atomic_load(&pool->ticket)) + 1;
    pool->jobs[now & 1] = next;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->ticket, (uint64_t)now << 32);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
}

void ego_pool_free(ego_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->stop, true);
    announce(pool, (job){0});
    for (unsigned i = 1; i <= pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->lock);
    free(pool->workers);
    free(pool);
}

unsigned ego_pool_threads(const ego_pool *pool) { return pool ? pool->threads : 1; }

void ego_parallel(ego_pool *pool, size_t n, ego_loop_body *body, void *context) {
    if (!pool || pool->threads == 1 || n < 2) {
        for (size_t i = 0; i < n; i++) body(context, i, 0);
        return;
    }
    announce(pool, (job){n, body, context});
    run_tickets(pool, 0);
    for (unsigned spin = 0; atomic_load(&pool->active) > 0; spin++) {
        if (spin < SPINS)
            relax();
        else
            sched_yield();
    }
}

/* ---- the queue ------------------------------------------------------------------------------------ */

struct ego_queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t capacity, count, head;
    bool closed;
    void *items[];
};

ego_err ego_queue_new(size_t capacity, ego_queue **out) {
    ego_queue *queue = calloc(1, sizeof *queue + capacity * sizeof queue->items[0]);
    if (!queue) return ego_fail(EGO_ENOMEM, "out of memory for a queue of %zu", capacity);
    queue->capacity = capacity;
    pthread_condattr_t steady; /* time that nobody sets back */
    pthread_condattr_init(&steady);
    pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->changed, &steady);
    pthread_condattr_destroy(&steady);
    *out = queue;
    return EGO_OK;
}

void ego_queue_free(ego_queue *queue) {
    if (!queue) return;
    pthread_cond_destroy(&queue->changed);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}

bool ego_queue_push(ego_queue *queue, void *item) {
    pthread_mutex_lock(&queue->lock);
    while (queue->count == queue->capacity && !queue->closed)
        pthread_cond_wait(&queue->changed, &queue->lock);
    bool taken = !queue->closed;
    if (taken) {
        queue->items[(queue->head + queue->count++) % queue->capacity] = item;
        pthread_cond_broadcast(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return taken;
}

/* until: NULL, for as long as it takes. */
static bool pop(ego_queue *queue, void **item, bool wait, const struct timespec *until) {
    pthread_mutex_lock(&queue->lock);
    while (wait && queue->count == 0 && !queue->closed) {
        if (!until)
            pthread_cond_wait(&queue->changed, &queue->lock);
        else if (pthread_cond_timedwait(&queue->changed, &queue->lock, until) == ETIMEDOUT)
            break;
    }
    bool found = queue->count > 0;
    if (found) {
        *item = queue->items[queue->head];
        queue->head = (queue->head + 1) % queue->capacity;
        queue->count--;
        pthread_cond_broadcast(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    return found;
}

bool ego_queue_pop(ego_queue *queue, void **item) { return pop(queue, item, true, NULL); }
bool ego_queue_try_pop(ego_queue *queue, void **item) { return pop(queue, item, false, NULL); }

bool ego_queue_pop_within(ego_queue *queue, double seconds, void **item) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    long nanoseconds = until.tv_nsec + (long)((seconds - floor(seconds)) * 1e9);
    until.tv_sec += (time_t)floor(seconds) + nanoseconds / 1000000000;
    until.tv_nsec = nanoseconds % 1000000000;
    return pop(queue, item, true, &until);
}

void ego_queue_close(ego_queue *queue) {
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}
