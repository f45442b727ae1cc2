/* Ranks: what they add and exchange, and a run that several make together. Starts itself again under mpirun;
 * where that is missing, or the build is without MPI, the rank that is left tests itself. */
#include "check.h"
#include "train/dist.h"
#include "train/run.h"

#include "base/file.h"

#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- exchanges -------------------------------------------------------------------------------------- */

static float number(int rank, size_t i) {
    return (float)((rank + 1) * 0.1 + (double)(i % 1000) * 1e-3) * (i % 3 ? 1e4f : 1e-4f);
}

/* One share exactly, a few numbers, and more than one piece. */
static void test_sum(ego_dist *dist) {
    const size_t sizes[] = {1, 3, 1000, (size_t)1 << 18, ((size_t)1 << 19) + 77, 0};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        size_t n = sizes[s], wrong = 0;
        float *x = malloc((n + 1) * sizeof *x);
        if (!CHECK(x != NULL)) return;
        for (size_t i = 0; i < n; i++) x[i] = number(ego_dist_rank(dist), i);
        CHECK_OK(ego_dist_sum(dist, x, n));
        for (size_t i = 0; i < n; i++) {
            double sum = 0;
            for (int r = 0; r < ego_dist_size(dist); r++) sum += (double)number(r, i);
            wrong += x[i] != (float)sum;
        }
        CHECK(wrong == 0);
        free(x);
    }
}

static void test_gather(ego_dist *dist) {
    int rank = ego_dist_rank(dist), size = ego_dist_size(dist);
    int32_t mine[2] = {rank, -rank}, all[2 * 16] = {0};
    CHECK_OK(ego_dist_gather(dist, mine, sizeof mine, all));
    for (int r = 0; r < size; r++) CHECK(all[2 * r] == r && all[2 * r + 1] == -r);
    memset(all, 0x55, sizeof all); /* from its own place */
    memcpy(all + 2 * rank, mine, sizeof mine);
    CHECK_OK(ego_dist_gather(dist, all + 2 * rank, sizeof mine, all));
    for (int r = 0; r < size; r++) CHECK(all[2 * r] == r && all[2 * r + 1] == -r);

    size_t sizes[16], total = 0; /* rank r sends 3·r bytes of value r */
    char bytes[64], ragged[16 * 64];
    memset(bytes, rank, sizeof bytes);
    CHECK_OK(ego_dist_gather_sizes(dist, 3 * (size_t)rank, sizes));
    CHECK_OK(ego_dist_gather_ragged(dist, bytes, sizes, ragged));
    for (int r = 0; r < size; r++) {
        CHECK(sizes[r] == 3 * (size_t)r);
        for (size_t i = 0; i < sizes[r]; i++) CHECK(ragged[total + i] == r);
        total += sizes[r];
    }
}

static void test_agreement(ego_dist *dist) {
    int rank = ego_dist_rank(dist), size = ego_dist_size(dist);
    bool any = true;
    CHECK_OK(ego_dist_any(dist, false, &any));
    CHECK(!any);
    CHECK_OK(ego_dist_any(dist, rank == size - 1, &any));
    CHECK(any);
    int value = rank + 40;
    CHECK_OK(ego_dist_broadcast(dist, &value, sizeof value, size - 1));
    CHECK(value == size - 1 + 40);
    CHECK_OK(ego_dist_barrier(dist));
}

/* ---- a run ------------------------------------------------------------------------------------------ */

enum { WIDTH = 100, STEPS = 12 };

typedef struct toy {
    ego_dist *dist;
    float value[WIDTH], grad[WIDTH];
    int64_t restored;
    volatile sig_atomic_t stop;
    int64_t stop_at; /* rank 1 asks for an end then; -1: never */
} toy;

/* Half the squared distance to i/10, a part of it on each rank. */
static ego_err toy_step(void *context, const ego_run_step *step, ego_run_losses *out) {
    toy *y = context;
    double loss = 0;
    int size = ego_dist_size(y->dist);
    for (int i = ego_dist_rank(y->dist); i < WIDTH; i += size) {
        float off = y->value[i] - 0.1f * (float)i;
        y->grad[i] += off;
        loss += 0.5 * (double)off * (double)off;
    }
    float sum = (float)loss;
    EGO_TRY(ego_dist_sum(y->dist, &sum, 1));
    ego_run_add(&out->losses, "distance", (double)sum);
    out->total = (double)sum;
    out->samples = WIDTH;
    if (step->t == y->stop_at && ego_dist_rank(y->dist) == size - 1) y->stop = 1;
    return EGO_OK;
}

static ego_err toy_reduce(void *context) {
    toy *y = context;
    return ego_dist_sum(y->dist, y->grad, WIDTH);
}

static ego_err toy_save(void *context, ego_buf *state) {
    (void)context;
    ego_buf_text(state, "seven");
    return EGO_OK;
}

static ego_err toy_restore(void *context, const char *state) {
    ((toy *)context)->restored += strcmp(state, "seven") == 0;
    return EGO_OK;
}

/* The parameters start as they should on rank 0 only. */
static ego_err toy_run(ego_dist *dist, const char *out, bool resume, int64_t stop_at, toy *y) {
    *y = (toy){.dist = dist, .stop_at = stop_at};
    for (int i = 0; i < WIDTH; i++) y->value[i] = ego_dist_rank(dist) ? 99 : (float)(i % 7);
    ego_tensor t = {y->value, EGO_F32, 1, {WIDTH}, NULL};
    ego_trained param = ego_trained_of("x", &t, y->grad);
    ego_adamw adamw = ego_adamw_default();
    ego_optim optim;
    EGO_TRY(ego_optim_init(&optim, &adamw, &param, 1, NULL));
    ego_run_options o = {.steps = STEPS,
                         .lr = 0.1,
                         .schedule = {EGO_SCHEDULE_COSINE, 0.1, 0},
                         .out = out,
                         .resume = resume,
                         .stop = &y->stop,
                         .dist = dist};
    ego_run_task task = {.context = y,
                         .step = toy_step,
                         .reduce = toy_reduce,
                         .save = toy_save,
                         .restore = toy_restore};
    ego_err err = ego_run(&o, &task, &optim);
    ego_optim_release(&optim);
    return err;
}

static void test_run(ego_dist *dist, const char *where) {
    toy whole, parts;
    char a[256], b[256];
    snprintf(a, sizeof a, "%s/whole%d", where, ego_dist_size(dist));
    snprintf(b, sizeof b, "%s/parts%d", where, ego_dist_size(dist));
    CHECK_OK(toy_run(dist, a, false, -1, &whole));
    CHECK_ERR(EGO_ECANCELLED, toy_run(dist, b, false, 4, &parts));
    CHECK_OK(toy_run(dist, b, true, -1, &parts));
    CHECK(parts.restored == 1);
    CHECK(memcmp(whole.value, parts.value, sizeof whole.value) == 0);
    float first[WIDTH];
    memcpy(first, whole.value, sizeof first);
    CHECK_OK(ego_dist_broadcast(dist, first, sizeof first, 0));
    CHECK(memcmp(first, whole.value, sizeof first) == 0);
    CHECK_ERR(EGO_EINPUT, toy_run(dist, a, false, -1, &whole)); /* there is a run: on every rank */

    toy alone; /* every gradient is one rank's, so even the bits are those of one rank */
    char c[256];
    snprintf(c, sizeof c, "%s/alone%d-%d", where, ego_dist_size(dist), ego_dist_rank(dist));
    if (ego_dist_rank(dist) == 0) {
        CHECK_OK(toy_run(NULL, c, false, -1, &alone));
        CHECK(memcmp(parts.value, alone.value, sizeof alone.value) == 0);
    }
}

/* ---- starting ranks --------------------------------------------------------------------------------- */

static int as_rank(int argc, char **argv) {
    ego_dist *dist;
    if (!CHECK_OK(ego_dist_start(&argc, &argv, &dist))) return check_done();
    int want = argc > 2 ? atoi(argv[2]) : 1;
    CHECK(ego_dist_size(dist) == want);
    test_sum(dist);
    test_gather(dist);
    test_agreement(dist);
    if (argc > 1) test_run(dist, argv[1]);
    ego_dist_end(dist);
    return check_done();
}

/* Ends in this program under `ranks` ranks. Small machines and root are no reason to refuse. */
static int launch(const char *self, const char *where, const char *ranks) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
        setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
        setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
        setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none",
               1);                                   /* containers forbid the others */
        setenv("ASAN_OPTIONS", "detect_leaks=0", 1); /* OpenMPI keeps some */
        execlp("mpirun", "mpirun", "-n", ranks, self, where, ranks, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv) {
    if (argc > 1) return as_rank(argc, argv);
    char where[] = "/tmp/ego-dist-XXXXXX", command[64];
    if (!CHECK(mkdtemp(where) != NULL)) return check_done();
    CHECK(as_rank(1, argv) == 0);
    bool mpi = strcmp(ego_dist_kind(), "MPI") == 0;
    int status = mpi ? launch(argv[0], where, "2") : 127;
    if (status != 127) {
        CHECK(status == 0);
        CHECK(launch(argv[0], where, "4") == 0);
    }
    snprintf(command, sizeof command, "rm -rf %s", where);
    CHECK(system(command) == 0);
    if (status == 127 && !check_failed)
        return check_skip(mpi ? "there is no mpirun; one rank is good"
                              : "built without MPI; one rank is good");
    return check_done();
}
