/* Heads: drawn, saved, opened again, told from official files, refused. */
#include "check.h"

#include "base/file.h"
#include "format/safetensors.h"
#include "model/head.h"
#include "model/identity.h"
#include "model/model.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/ego-head-XXXXXX";

static const char *at(const char *name) {
    static char path[2][256];
    static int turn;
    snprintf(path[turn ^= 1], sizeof path[0], "%s/%s", folder, name);
    return path[turn];
}

static ego_head *draw(const ego_head_kind *kind, const char *config, uint64_t seed) {
    ego_head *head = NULL;
    ego_json *root;
    ego_head_config c = ego_head_config_default(kind);
    if (!CHECK_OK(ego_json_parse(config, strlen(config), &root))) return NULL;
    CHECK_OK(ego_head_config_read(kind, root, &c));
    ego_json_free(root);
    CHECK_OK(ego_head_create(kind, &c, seed, &head));
    return head;
}

static ego_head *small(const ego_head_kind *kind, uint64_t seed) {
    const char *config =
        kind == &ego_head_qa ? "{\"width\":12,\"answers\":5}"
        : kind == &ego_head_qa_moments
            ? "{\"width\":6,\"text\":4,\"dim\":8,\"heads\":2,\"layers\":2,\"hidden\":16,\"windows\":3,\"moments\":2,\"answers\":5}"
        : kind == &ego_head_qfvs
            ? "{\"width\":8,\"heads\":2,\"layers\":3,\"hidden\":16,\"middle\":4}"
            : "{\"video_width\":10,\"query_width\":6,\"dim\":8,\"heads\":2,\"positions\":9}";
    return draw(kind, config, seed);
}

static ego_err hash_param(void *context, const ego_param_spec *spec) {
    ego_identity_add(context, spec->name, &spec->param->value);
    CHECK(spec->param->value.dtype == EGO_F32);
    return EGO_OK;
}

static void hash_of(ego_head *head, char sum[65]) {
    ego_sha256 *hash;
    CHECK_OK(ego_sha256_new(&hash));
    CHECK_OK(ego_head_visit(head, hash_param, hash));
    ego_sha256_finish(hash, sum);
}

static void check_same_bytes(const char *a, const char *b) {
    ego_buf x = {0}, y = {0};
    CHECK_OK(ego_read_file(a, 1 << 24, &x));
    CHECK_OK(ego_read_file(b, 1 << 24, &y));
    CHECK(x.len == y.len && memcmp(x.data, y.data, x.len) == 0);
    ego_buf_release(&x);
    ego_buf_release(&y);
}

/* Each kind there and back: values, configuration, notes, backbone, name. */
static void check_round_trip(const ego_head_kind *kind) {
    ego_head *a = small(kind, 7), *b = NULL, *c = small(kind, 8);
    char sum[3][65];
    if (!a || !c) return;
    ego_head_set_backbone(a, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
    CHECK_OK(ego_head_set_note(a, "answers", "cup\nplate \"x\"\n"));
    CHECK_OK(ego_head_set_note(a, "gone", "x"));
    CHECK_OK(ego_head_set_note(a, "gone", NULL));
    CHECK_OK(ego_head_save(a, at("a.safetensors"), EGO_F32));
    if (!CHECK_OK(ego_head_open(at("a.safetensors"), kind, &b))) return;
    CHECK(b->kind == kind && memcmp(&a->config, &b->config, sizeof a->config) == 0);
    CHECK(b->random && b->unused_count == 0);
    CHECK_STR(b->backbone, a->backbone);
    CHECK_STR(b->id, a->id);
    CHECK_STR(ego_head_note(b, "answers"), "cup\nplate \"x\"\n");
    CHECK(!ego_head_note(b, "gone"));
    hash_of(a, sum[0]);
    hash_of(b, sum[1]);
    hash_of(c, sum[2]);
    CHECK_STR(sum[1], sum[0]);
    CHECK(strcmp(sum[2], sum[0]) != 0); /* another seed */
    CHECK(ego_head_parameters(a) == ego_head_parameters(b) && ego_head_parameters(a) > 0);
    CHECK_OK(ego_head_save(b, at("b.safetensors"), EGO_F32));
    check_same_bytes(at("a.safetensors"), at("b.safetensors"));
    ego_head_close(a, NULL);
    ego_head_close(b, NULL);
    ego_head_close(c, NULL);
}

/* What has two and more dimensions went through 16 bits. */
static ego_err check_narrowed(void *context, const ego_param_spec *spec) {
    (void)context;
    bool exact = true;
    for (int64_t i = 0; spec->ndim >= 2 && i < ego_tensor_count(&spec->param->value); i++) {
        float x = ego_f32(&spec->param->value)[i];
        exact &= x == ego_f16_to_f32(ego_f32_to_f16(x));
    }
    CHECK(exact);
    return EGO_OK;
}

static void check_half(void) {
    ego_head *a = small(&ego_head_vslnet, 1), *b = NULL;
    struct stat whole, half;
    CHECK_OK(ego_head_save(a, at("a.safetensors"), EGO_F32));
    CHECK_OK(ego_head_save(a, at("h.safetensors"), EGO_F16));
    CHECK(stat(at("a.safetensors"), &whole) == 0 && stat(at("h.safetensors"), &half) == 0);
    CHECK(half.st_size < whole.st_size);
    if (CHECK_OK(ego_head_open(at("h.safetensors"), NULL, &b))) {
        CHECK_STR(b->id, a->id); /* that of what was saved last */
        CHECK_OK(ego_head_visit(b, check_narrowed, NULL));
    }
    CHECK_ERR(EGO_EUNSUPPORTED, ego_head_save(a, at("i.safetensors"), EGO_I64));
    ego_head_close(a, NULL);
    ego_head_close(b, NULL);
}

/* ---- how parameters start ------------------------------------------------------------------------------- */

static double spread(const ego_param *p, double *mean) {
    double sum = 0, square = 0, n = (double)ego_tensor_count(&p->value);
    for (int64_t i = 0; i < ego_tensor_count(&p->value); i++) {
        double x = ego_f32(&p->value)[i];
        sum += x;
        square += x * x;
    }
    *mean = sum / n;
    return sqrt(square / n - *mean * *mean);
}

static double largest(const ego_param *p) {
    double most = 0;
    for (int64_t i = 0; i < ego_tensor_count(&p->value); i++)
        most = fmax(most, fabs((double)ego_f32(&p->value)[i]));
    return most;
}

static bool same_values(const ego_param *a, const ego_param *b) {
    return memcmp(a->value.data, b->value.data,
                  (size_t)ego_tensor_count(&a->value) * sizeof(float)) == 0;
}

static void check_starts(void) {
    ego_head *v = draw(&ego_head_vslnet, "{}", 3), *q = draw(&ego_head_qfvs, "{\"width\":64}", 3);
    double mean, std;
    const ego_vslnet_params *p = &v->params.vslnet;
    std = spread(&p->encoder.positions, &mean);
    CHECK_NEAR(std, 1, 0.02);
    CHECK_NEAR(mean, 0, 0.02);
    double bound = sqrt(6.0 / (768 + 128));
    CHECK(largest(&p->video_affine.weight) <= bound &&
          largest(&p->video_affine.weight) > 0.99 * bound);
    bound = sqrt(6.0 / (7 + 7 * 128)); /* fans of (128, 1, 7) */
    CHECK(largest(&p->encoder.conv[0].depthwise) <= bound &&
          largest(&p->encoder.conv[0].depthwise) > 0.99 * bound);
    CHECK(largest(&p->video_affine.bias) == 0 && largest(&p->encoder.norm1.weight) == 1);
    CHECK(p->attention.video.value.shape[0] == 1 && p->attention.video.value.shape[1] == 128);
    int64_t encoder =
        256 * 128 + 4 * (128 * 7 + 128 * 128 + 128) + 4 * 256 + 4 * (128 * 128 + 128) + 2 * 256;
    int64_t fusion = 3 * 128 + (512 * 128 + 128) + 128 + (256 * 128 + 128) + 129;
    int64_t spans = 2 * 256 + 2 * (256 * 128 + 128) + 2 * 129;
    CHECK(ego_head_parameters(v) == 2 * (768 * 128 + 128) + 2 * encoder + fusion + spans);
    const ego_qfvs_params *s = &q->params.qfvs;
    CHECK(ego_f32(&s->score.bias.value)[0] == -1.91f);
    CHECK(same_values(&s->layer[0].qkv.weight, &s->layer[1].qkv.weight));
    CHECK(same_values(&s->layer[0].fc2.bias, &s->layer[1].fc2.bias));
    CHECK(largest(&s->layer[0].fc2.bias) <= 1 / sqrt(2048.0));
    ego_head_close(v, NULL);
    ego_head_close(q, NULL);
}

static ego_err count_decaying(void *context, const ego_param_spec *spec) {
    *(int *)context += spec->decay;
    CHECK(spec->param->grad && spec->param->grad[0] == 0);
    return EGO_OK;
}

static void check_trainable(void) {
    ego_head *v = small(&ego_head_vslnet, 1), *q = small(&ego_head_qa, 1);
    int decaying = 0;
    CHECK_OK(ego_head_make_trainable(v));
    CHECK_OK(ego_head_visit(v, count_decaying, &decaying));
    CHECK(decaying == 2 * (1 + 8 + 4) + 2 + 4 + 2 + 1 + 4); /* no bias, no layer_norm */
    decaying = 0;
    CHECK_OK(ego_head_make_trainable(q));
    CHECK_OK(ego_head_visit(q, count_decaying, &decaying));
    CHECK(decaying == 4);
    ego_head_close(v, NULL);
    ego_head_close(q, NULL);
}

/* ---- official files ---------------------------------------------------------------------------------------- */

static void check_official(void) {
    ego_head *head = NULL;
    ego_weights *weights;
    if (!CHECK_OK(ego_head_open("tests/golden/heads/vslnet.pth", NULL, &head))) return;
    const ego_vslnet_config *c = &head->config.vslnet;
    CHECK(head->kind == &ego_head_vslnet && c->dim == 32 && c->video_width == 64 &&
          c->positions == 24 && c->query_width == 768);
    CHECK(c->heads == 4); /* its sidecar's */
    CHECK(head->unused_count == 0 && !head->random && !head->backbone[0]);
    CHECK_OK(ego_head_save(head, at("v.safetensors"), EGO_F32));
    char id[65];
    memcpy(id, head->id, sizeof id);
    ego_head_close(head, NULL);
    if (CHECK_OK(ego_head_open("tests/golden/heads/vslnet.pth", &ego_head_vslnet, &head))) {
        CHECK_STR(head->id, id); /* one name in any format */
        ego_head_close(head, NULL);
    }
    if (CHECK_OK(ego_weights_open("tests/golden/heads/vslnet.pth", &weights))) {
        CHECK(ego_weights_are_head(weights));
        ego_weights_close(weights);
    }
    if (CHECK_OK(ego_weights_open("tests/golden/made/odd/checkpoint.pth", &weights))) {
        CHECK(!ego_weights_are_head(weights));
        ego_weights_close(weights);
    }
}

static void check_message(const char *word) {
    if (!CHECK(strstr(ego_err_message(), word) != NULL))
        fprintf(stderr, "    message: %s\n", ego_err_message());
}

static ego_err list_params(void *context, const ego_param_spec *spec) {
    ego_named_tensor **next = context;
    *(*next)++ = (ego_named_tensor){spec->param->name, spec->param->value};
    return EGO_OK;
}

/* Files with a tensor too few, too many, of another shape; of a kind nobody knows; of none. */
static void check_refused(void) {
    ego_head *q = small(&ego_head_qa, 1), *head = NULL;
    ego_named_tensor list[8], *end = list;
    CHECK_OK(ego_head_visit(q, list_params, &end));
    size_t n = (size_t)(end - list);
    list[n] = (ego_named_tensor){"stray", list[0].tensor};
    CHECK_OK(ego_safetensors_write(at("more.safetensors"), list, n + 1, NULL, 0, NULL, NULL));
    if (CHECK_OK(ego_head_open(at("more.safetensors"), NULL, &head))) {
        CHECK(head->kind == &ego_head_qa && head->unused_count == 1);
        CHECK_STR(head->unused[0], "stray");
        ego_head_close(head, NULL);
    }
    CHECK_OK(ego_safetensors_write(at("few.safetensors"), list, n - 1, NULL, 0, NULL, NULL));
    CHECK_ERR(EGO_EMODEL, ego_head_open(at("few.safetensors"), NULL, &head));
    check_message("projector_2.bias");
    list[2].tensor.shape[0]--;
    CHECK_OK(ego_safetensors_write(at("shape.safetensors"), list, n, NULL, 0, NULL, NULL));
    CHECK_ERR(EGO_EMODEL, ego_head_open(at("shape.safetensors"), NULL, &head));
    check_message("expected numbers of shape [5, 5], found F32 [4, 5]");
    list[2].tensor.shape[0]++;
    CHECK_OK(ego_head_save(q, at("q.safetensors"), EGO_F32));
    CHECK_ERR(EGO_EMODEL, ego_head_open(at("q.safetensors"), &ego_head_vslnet, &head));
    check_message("expected a head of kind nlq.vslnet, found qa");
    CHECK_OK(ego_safetensors_write(at("none.safetensors"), list + n, 1, NULL, 0, NULL, NULL));
    CHECK_ERR(EGO_EMODEL, ego_head_open(at("none.safetensors"), NULL, &head));
    check_message("no head");
    static const char *const bad[][2] = {
        {"{\"kind\":\"psi\"}", "psi"},
        {"{\"kind\":\"qa\",\"config\":{\"answers\":0}}", "answers"},
        {"{\"kind\":\"qa\",\"config\":{\"depth\":1}}", "depth"},
        {"{\"kind\":\"qa\",\"config\":[]}", "object"},
        {"{", "ego.head"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ego_metadata says = {EGO_META_HEAD, bad[i][0]};
        CHECK_OK(ego_safetensors_write(at("bad.safetensors"), list, n, &says, 1, NULL, NULL));
        CHECK(ego_head_open(at("bad.safetensors"), NULL, &head) != EGO_OK);
        check_message(bad[i][1]);
    }
    ego_head_config c = ego_head_config_default(&ego_head_vslnet);
    c.vslnet.heads = 7;
    CHECK_ERR(EGO_EINPUT, ego_head_create(&ego_head_vslnet, &c, 1, &head));
    check_message("does not divide");
    ego_head_close(q, NULL);
}

static void check_backbone(void) {
    ego_head *q = small(&ego_head_qa, 1);
    ego_buf warning = {0};
    CHECK(!ego_head_foreign(q, "aaaa", &warning)); /* nothing is known */
    ego_head_set_backbone(q, "aaaa");
    CHECK(!ego_head_foreign(q, "aaaa", &warning) && warning.len == 0);
    CHECK(ego_head_foreign(q, "bbbb", &warning) && strstr(warning.data, "aaaa") &&
          strstr(warning.data, "bbbb"));
    ego_buf_release(&warning);
    ego_head_close(q, NULL);
}

int main(void) {
    if (!mkdtemp(folder)) return check_skip("no temporary directory");
    for (size_t i = 0; ego_head_kinds[i]; i++) {
        check_round_trip(ego_head_kinds[i]);
        CHECK(ego_head_kind_of(ego_head_kinds[i]->name) == ego_head_kinds[i]);
    }
    CHECK(!ego_head_kind_of("psi"));
    check_half();
    check_starts();
    check_trainable();
    check_official();
    check_refused();
    check_backbone();
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0);
    return check_done();
}
