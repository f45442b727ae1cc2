#include "train/dist.h"

#include <stdlib.h>
#include <string.h>

/* Messages go in pieces: MPI counts in int, and what a sum keeps aside stays small. */
enum { PIECE_BYTES = 1 << 30, SHARE_FLOATS = 1 << 18 };

#ifdef EGO_MPI
/* ---- with MPI --------------------------------------------------------------------------------------- */

#include <mpi.h>

struct ego_dist {
    int rank, size;
    bool started;
    float *shares;          /* size × SHARE_FLOATS: the others' parts of my share */
    int *counts, *starts;   /* of each rank's share */
    int *each, *each_start; /* of the parts of mine */
};

const char *ego_dist_kind(void) { return "MPI"; }

static ego_err check(int code, const char *what) {
    if (code == MPI_SUCCESS) return EGO_OK;
    char text[MPI_MAX_ERROR_STRING] = "";
    int n;
    MPI_Error_string(code, text, &n);
    return ego_fail(EGO_EIO, "%s between ranks failed: %s", what, text);
}

/* Without a launcher (mpirun, srun) there is one rank: MPI would start a daemon to find that out. */
static bool launched(void) {
    static const char *const signs[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK",
                                        "PMI_SIZE"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (getenv(signs[i])) return true;
    return false;
}

static ego_err allocate(ego_dist *d) {
    size_t n = (size_t)d->size;
    d->shares = malloc(n * SHARE_FLOATS * sizeof *d->shares);
    d->counts = calloc(4 * n, sizeof *d->counts);
    if (!d->shares || !d->counts)
        return ego_fail(EGO_ENOMEM, "out of memory for %d ranks", d->size);
    d->starts = d->counts + n;
    d->each = d->counts + 2 * n;
    d->each_start = d->counts + 3 * n;
    return EGO_OK;
}

ego_err ego_dist_start(int *argc, char ***argv, ego_dist **dist) {
    ego_dist *d = calloc(1, sizeof *d);
    if (!d) return ego_fail(EGO_ENOMEM, "out of memory");
    d->size = 1;
    ego_err err = EGO_OK;
    if (launched()) {
        int have;
        err = check(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &have), "starting");
        d->started = err == EGO_OK;
    }
    if (d->started) {
        MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
        MPI_Comm_rank(MPI_COMM_WORLD, &d->rank);
        MPI_Comm_size(MPI_COMM_WORLD, &d->size);
        err = allocate(d);
    }
    if (err == EGO_OK)
        *dist = d;
    else
        ego_dist_end(d);
    return err;
}

void ego_dist_end(ego_dist *dist) {
    if (!dist) return;
    if (dist->started) MPI_Finalize();
    free(dist->shares);
    free(dist->counts);
    free(dist);
}

void ego_dist_abort(ego_dist *dist, int status) {
    if (dist && dist->size > 1) MPI_Abort(MPI_COMM_WORLD, status);
}

/* The sum of at most size · SHARE_FLOATS numbers: rank r adds the r-th share and tells the others. */
static ego_err sum_shares(ego_dist *d, float *x, size_t n) {
    size_t share = (n + (size_t)d->size - 1) / (size_t)d->size;
    for (int r = 0; r < d->size; r++) {
        size_t from = (size_t)r * share < n ? (size_t)r * share : n;
        size_t count = n - from < share ? n - from : share;
        d->starts[r] = (int)from;
        d->counts[r] = (int)count;
    }
    int mine = d->counts[d->rank];
    for (int r = 0; r < d->size; r++) {
        d->each[r] = mine;
        d->each_start[r] = r * mine;
    }
    EGO_TRY(check(MPI_Alltoallv(x, d->counts, d->starts, MPI_FLOAT, d->shares, d->each,
                                d->each_start, MPI_FLOAT, MPI_COMM_WORLD),
                  "adding"));
    for (int i = 0; i < mine; i++) {
        double sum = 0;
        for (int r = 0; r < d->size; r++)
            sum += (double)d->shares[(size_t)r * (size_t)mine + (size_t)i];
        x[d->starts[d->rank] + i] = (float)sum;
    }
    return check(MPI_Allgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x, d->counts, d->starts,
                                MPI_FLOAT, MPI_COMM_WORLD),
                 "adding");
}

ego_err ego_dist_sum(ego_dist *dist, float *x, size_t n) {
    if (!dist || dist->size == 1) return EGO_OK;
    size_t most = (size_t)dist->size * SHARE_FLOATS;
    if (most > PIECE_BYTES) most = PIECE_BYTES;
    for (size_t at = 0; at < n; at += most)
        EGO_TRY(sum_shares(dist, x + at, n - at < most ? n - at : most));
    return EGO_OK;
}

ego_err ego_dist_any(ego_dist *dist, bool mine, bool *any) {
    int value = mine;
    if (dist && dist->size > 1)
        EGO_TRY(check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD),
                      "agreeing"));
    *any = value != 0;
    return EGO_OK;
}

ego_err ego_dist_broadcast(ego_dist *dist, void *data, size_t bytes, int root) {
    if (!dist || dist->size == 1) return EGO_OK;
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        size_t n = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        EGO_TRY(
            check(MPI_Bcast((char *)data + at, (int)n, MPI_BYTE, root, MPI_COMM_WORLD), "sending"));
    }
    return EGO_OK;
}

ego_err ego_dist_gather_sizes(ego_dist *dist, size_t bytes, size_t *sizes) {
    sizes[ego_dist_rank(dist)] = bytes;
    if (!dist || dist->size == 1) return EGO_OK;
    return check(MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, sizes, (int)sizeof *sizes,
                               MPI_BYTE, MPI_COMM_WORLD),
                 "gathering");
}

ego_err ego_dist_barrier(ego_dist *dist) {
    if (!dist || dist->size == 1) return EGO_OK;
    return check(MPI_Barrier(MPI_COMM_WORLD), "waiting");
}

#else
/* ---- one rank --------------------------------------------------------------------------------------- */

struct ego_dist {
    int rank, size;
};

const char *ego_dist_kind(void) { return "none"; }

ego_err ego_dist_start(int *argc, char ***argv, ego_dist **dist) {
    (void)argc, (void)argv;
    *dist = calloc(1, sizeof **dist);
    if (!*dist) return ego_fail(EGO_ENOMEM, "out of memory");
    (*dist)->size = 1;
    return EGO_OK;
}

void ego_dist_end(ego_dist *dist) { free(dist); }
void ego_dist_abort(ego_dist *dist, int status) { (void)dist, (void)status; }

ego_err ego_dist_sum(ego_dist *dist, float *x, size_t n) {
    (void)dist, (void)x, (void)n;
    return EGO_OK;
}

ego_err ego_dist_any(ego_dist *dist, bool mine, bool *any) {
    (void)dist;
    *any = mine;
    return EGO_OK;
}

ego_err ego_dist_broadcast(ego_dist *dist, void *data, size_t bytes, int root) {
    (void)dist, (void)data, (void)bytes, (void)root;
    return EGO_OK;
}

ego_err ego_dist_gather_sizes(ego_dist *dist, size_t bytes, size_t *sizes) {
    (void)dist;
    sizes[0] = bytes;
    return EGO_OK;
}

ego_err ego_dist_barrier(ego_dist *dist) {
    (void)dist;
    return EGO_OK;
}
#endif

/* ---- both ------------------------------------------------------------------------------------------- */

int ego_dist_rank(const ego_dist *dist) { return dist ? dist->rank : 0; }
int ego_dist_size(const ego_dist *dist) { return dist ? dist->size : 1; }

/* One rank after the other sends its block: no limit on sizes or places, and large blocks (frames) are what
 * is gathered. */
static ego_err gather(ego_dist *dist, const void *mine, const size_t *sizes, size_t each,
                      void *all) {
    char *at = all;
    for (int r = 0; r < ego_dist_size(dist); r++) {
        size_t bytes = sizes ? sizes[r] : each;
        if (r == ego_dist_rank(dist) && at != (const char *)mine && bytes) memmove(at, mine, bytes);
        EGO_TRY(ego_dist_broadcast(dist, at, bytes, r));
        at += bytes;
    }
    return EGO_OK;
}

ego_err ego_dist_gather(ego_dist *dist, const void *mine, size_t bytes, void *all) {
    return gather(dist, mine, NULL, bytes, all);
}

ego_err ego_dist_gather_ragged(ego_dist *dist, const void *mine, const size_t *sizes, void *all) {
    return gather(dist, mine, sizes, 0, all);
}
