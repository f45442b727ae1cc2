/* Learning a vocabulary: the merges of a few words by hand, those of 6,973 lines as our Python
 * reference learns them (tests/reference/learn_bpe.py), and what must hold of any: the order of the
 * texts does not matter, what was learned loads, and every text comes back from its tokens. */
#include "base/file.h"
#include "base/rng.h"
#include "bpe_lines.h"
#include "text/bpe.h"
#include "text/learn.h"

#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#define LEARN_DATA "tests/unit/data/learn"

typedef struct text {
    char *bytes;
    unsigned n;
} text;

static text lines[8192];
static size_t line_count;

static void read_lines(void) {
    static bpe_line line;
    gzFile file = gzopen(BPE_DATA "/lines.gz", "rb");
    if (!CHECK(file != NULL)) return;
    while (line_count < 8192 && read_bpe_line(file, &line)) {
        text *t = &lines[line_count++];
        *t = (text){malloc(line.text_bytes + 1), line.text_bytes};
        memcpy(t->bytes, line.text, t->n);
    }
    CHECK(line_count == 6973);
    gzclose(file);
}

static ego_bpe_learner *new_learner(void) {
    ego_bpe_learner *learner = NULL;
    CHECK_OK(ego_bpe_learner_new(&learner));
    return learner;
}

static void add(ego_bpe_learner *learner, const char *words, uint64_t count) {
    CHECK_OK(ego_bpe_learner_add(learner, words, strlen(words), count));
}

static ego_bpe_learned learn(const ego_bpe_learner *learner, size_t tokens, uint64_t least) {
    ego_bpe_learned learned = {0};
    CHECK_OK(ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = tokens, .least_count = least},
                           &learned));
    return learned;
}

static ego_bpe *load(const ego_bpe_learned *learned) {
    ego_bpe *bpe = NULL;
    CHECK_OK(ego_bpe_from_memory(learned->vocab.data, learned->vocab.len, learned->merges.data,
                                 learned->merges.len, &bpe));
    return bpe;
}

static int same(const ego_bpe_learned *a, const ego_bpe_learned *b) {
    return !strcmp(a->vocab.data, b->vocab.data) && !strcmp(a->merges.data, b->merges.data);
}

/* ---- by hand ---- */

/* Eight times hug (4 of them after a blank), 5 pug, 2 hugs. ug: 15; then h ug: 10 (Ġ h: 4); then
 * p ug: 5, Ġ hug: 4, hug s: 2; then each pair occurs at most once. */
static void test_by_hand(void) {
    ego_bpe_learner *learner = new_learner();
    add(learner, "hug", 4);
    add(learner, " hug", 4);
    add(learner, "pug", 5);
    add(learner, "hugs", 2);
    add(learner, "bun", 1);
    ego_bpe_learned learned = learn(learner, 1000, 0);
    CHECK_STR(learned.merges.data, "#version: 0.2\nu g\nh ug\np ug\n\304\240 hug\nhug s\n");
    CHECK(learned.tokens == 4 + 256 + 5 + 1 && learned.texts == 16 && learned.pieces == 5);
    CHECK(learned.bytes == 4 * 3 + 4 * 4 + 5 * 3 + 2 * 4 + 3);
    CHECK(learned.text_tokens == 4 + 4 + 5 + 2 + 3);
    static const char first[] = "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"<unk>\":3,\"!\":4,\"\\\"\":5,";
    CHECK(strncmp(learned.vocab.data, first, sizeof first - 1) == 0);
    CHECK_STR(
        strstr(learned.vocab.data, ",\"ug\""),
        ",\"ug\":260,\"hug\":261,\"pug\":262,\"\304\240hug\":263,\"hugs\":264,\"<mask>\":265}\n");
    ego_bpe_learned_release(&learned);
    learned = learn(learner, 263, 0);
    CHECK_STR(learned.merges.data, "#version: 0.2\nu g\nh ug\n");
    CHECK(learned.tokens == 263);
    ego_bpe_learned_release(&learned);
    learned = learn(learner, 1000, 5);
    CHECK_STR(learned.merges.data, "#version: 0.2\nu g\nh ug\np ug\n");
    ego_bpe_learned_release(&learned);
    learned = learn(learner, 1000, 1);
    CHECK(learned.text_tokens == 16);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
}

static void check_merges(const char *words, uint64_t count, size_t tokens, const char *merges) {
    ego_bpe_learner *learner = new_learner();
    add(learner, words, count);
    ego_bpe_learned learned = learn(learner, tokens, 2);
    CHECK(!strncmp(learned.merges.data, "#version: 0.2\n", 14));
    CHECK_STR(learned.merges.data + 14, merges);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
}

static void test_rules(void) {
    /* Equally often: the smaller left symbol first, then the smaller right one; bytes in the order
     * of their characters, so a blank (Ġ) behind all that is visible. */
    check_merges("-cb-ab-cb-ab", 1, 262, "a b\n");
    check_merges("-ac-ab-ac-ab", 1, 262, "a b\n");
    check_merges(" ba 1 ba 1", 1, 262, "b a\n");
    /* Runs: a a stands at three places of aaaa; joined from the left. */
    check_merges("aaaa", 1, 1000, "a a\n");
    check_merges("aaaaa", 2, 1000, "a a\naa a\naa aaa\n");
    check_merges("aaa", 2, 1000, "a a\naa a\n");
    check_merges("baaa", 2, 1000, "a a\nb aa\nbaa a\n");
    /* Pieces are never joined over their border. */
    check_merges("a1a1a1", 9, 1000, "");
    check_merges("it's it's", 1, 1000, "' s\ni t\n");
    check_merges("<mask><mask>", 1, 1000, "a s\nm as\nmas k\n");
    check_merges("", 1, 1000, "");
    check_merges("abc", 0, 1000, "");
}

static void test_longest_token(void) {
    static char run[400];
    memset(run, 'x', sizeof run);
    ego_bpe_learner *learner = new_learner();
    CHECK_OK(ego_bpe_learner_add(learner, run, sizeof run, 2));
    ego_bpe_learned learned = learn(learner, 1000, 1);
    size_t longest = 0, bytes = 0;
    ego_bpe *bpe = load(&learned);
    for (int64_t id = 260; id < ego_bpe_mask_id(bpe); id++)
        if (ego_bpe_token(bpe, id, &bytes) && bytes > longest) longest = bytes;
    CHECK(longest == EGO_BPE_LEARN_MAX_TOKEN);
    ego_bpe_free(bpe);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
}

/* ---- the lines ---- */

static void check_file(const char *name, const ego_buf *got) {
    char path[100];
    ego_buf want = {0};
    snprintf(path, sizeof path, LEARN_DATA "/%s", name);
    CHECK_OK(ego_read_file(path, 1 << 20, &want));
    if (!CHECK(want.len == got->len && !memcmp(want.data, got->data, want.len)))
        fprintf(stderr, "    %s: %zu bytes expected, found %zu\n", path, want.len, got->len);
    ego_buf_release(&want);
}

/* Every line comes back from its tokens, but for the white space that `<mask>` swallows; and the
 * lines without special tokens have as many tokens as learning said. */
static void check_lines(const ego_bpe *bpe) {
    ego_bpe_learner *learner = new_learner();
    ego_tokens tokens = {0};
    ego_buf back = {0};
    uint64_t total = 0;
    for (size_t i = 0; i < line_count; i++) {
        const text *t = &lines[i];
        CHECK_OK(ego_bpe_encode(bpe, t->bytes, t->n, 0, &tokens));
        int masked = 0;
        for (size_t k = 0; k < tokens.count; k++) masked |= tokens.ids[k] == ego_bpe_mask_id(bpe);
        ego_buf_clear(&back);
        CHECK_OK(ego_bpe_decode(bpe, tokens.ids + 1, tokens.count - 2, true, &back));
        if (!masked) CHECK(back.len == t->n && (!t->n || !memcmp(back.data, t->bytes, t->n)));
        if (memchr(t->bytes, '<', t->n)) continue;
        CHECK_OK(ego_bpe_learner_add(learner, t->bytes, t->n, 1));
    }
    ego_bpe_learned plain = learn(learner, 1500, 0);
    ego_bpe *own = load(&plain);
    for (size_t i = 0; i < line_count; i++) {
        if (memchr(lines[i].bytes, '<', lines[i].n)) continue;
        CHECK_OK(ego_bpe_encode(own, lines[i].bytes, lines[i].n, 0, &tokens));
        total += tokens.count - 2;
    }
    CHECK(plain.text_tokens == total && total < plain.bytes / 2);
    ego_bpe_free(own);
    ego_bpe_learned_release(&plain);
    ego_bpe_learner_free(learner);
    ego_buf_release(&back);
    ego_tokens_release(&tokens);
}

static void test_reference(void) {
    ego_bpe_learner *learner = new_learner();
    for (size_t i = 0; i < line_count; i++)
        CHECK_OK(ego_bpe_learner_add(learner, lines[i].bytes, lines[i].n, 1));
    ego_bpe_learned learned = learn(learner, 1600, 2);
    check_file("vocab.json", &learned.vocab);
    check_file("merges.txt", &learned.merges);
    CHECK(learned.tokens == 1600 && learned.texts == line_count);
    ego_bpe *bpe = load(&learned);
    CHECK(ego_bpe_count(bpe) == 1600 && ego_bpe_start_id(bpe) == 0 && ego_bpe_pad_id(bpe) == 1);
    CHECK(ego_bpe_end_id(bpe) == 2 && ego_bpe_unk_id(bpe) == 3 && ego_bpe_mask_id(bpe) == 1599);
    check_lines(bpe);
    ego_bpe_free(bpe);
    /* A smaller vocabulary is the beginning of a larger one. */
    ego_bpe_learned small = learn(learner, 700, 2);
    CHECK(small.tokens == 700 && small.merges.len < learned.merges.len &&
          !memcmp(small.merges.data, learned.merges.data, small.merges.len));
    ego_bpe_learned_release(&small);
    /* Asked for more than there is: loads, and says how many. */
    ego_bpe_learned all = learn(learner, EGO_BPE_MAX_TOKENS, 0);
    bpe = load(&all);
    CHECK(all.tokens < 100000 && ego_bpe_count(bpe) == all.tokens);
    CHECK(ego_bpe_mask_id(bpe) == (int64_t)all.tokens - 1);
    ego_bpe_free(bpe);
    ego_bpe_learned_release(&all);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
}

/* Shuffled, and each text three times or once with the count 3. */
static void test_order(void) {
    ego_bpe_learner *ordered = new_learner(), *shuffled = new_learner();
    static size_t order[3 * 8192];
    size_t n = 3 * line_count;
    for (size_t i = 0; i < n; i++) order[i] = i / 3;
    for (size_t i = n; i-- > 1;) {
        size_t k = ego_rng_below(5, i, (uint32_t)i + 1), other = order[k];
        order[k] = order[i];
        order[i] = other;
    }
    for (size_t i = 0; i < line_count; i++)
        CHECK_OK(ego_bpe_learner_add(ordered, lines[i].bytes, lines[i].n, 3));
    for (size_t i = 0; i < n; i++)
        CHECK_OK(ego_bpe_learner_add(shuffled, lines[order[i]].bytes, lines[order[i]].n, 1));
    ego_bpe_learned a = learn(ordered, 5000, 7), b = learn(shuffled, 5000, 7);
    CHECK(same(&a, &b) && a.tokens == b.tokens && a.text_tokens == b.text_tokens);
    CHECK(a.texts == n && b.texts == n && a.bytes == b.bytes && a.pieces == b.pieces);
    ego_bpe_learned_release(&a);
    ego_bpe_learned_release(&b);
    ego_bpe_learner_free(ordered);
    ego_bpe_learner_free(shuffled);
}

/* ---- limits, files ---- */

/* A word of a megabyte, and one of as many different pairs as there are. */
static void test_long_words(void) {
    size_t n = 1 << 20;
    char *word = malloc(n);
    for (int kind = 0; kind < 3; kind++) {
        for (size_t i = 0; i < n; i++)
            word[i] = (char)(kind == 0 ? 'a' : 'a' + ego_rng_below(3, i, kind == 1 ? 2 : 26));
        ego_bpe_learner *learner = new_learner();
        CHECK_OK(ego_bpe_learner_add(learner, word, n, 1));
        ego_bpe_learned learned = learn(learner, 3000, 0);
        ego_bpe *bpe = load(&learned);
        ego_tokens tokens = {0};
        CHECK_OK(ego_bpe_encode(bpe, word, n, 0, &tokens));
        CHECK(tokens.count - 2 == learned.text_tokens);
        ego_tokens_release(&tokens);
        ego_bpe_free(bpe);
        ego_bpe_learned_release(&learned);
        ego_bpe_learner_free(learner);
    }
    free(word);
}

static bool stop_at_once(void *context, const char *what, uint64_t done, uint64_t total) {
    (void)what;
    *(uint64_t *)context += done <= total;
    return false;
}

static void test_refused(void) {
    ego_bpe_learner *learner = new_learner();
    ego_bpe_learned learned = {0};
    CHECK_ERR(EGO_EINPUT, ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = 260}, &learned));
    CHECK_ERR(
        EGO_EINPUT,
        ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = EGO_BPE_MAX_TOKENS + 1}, &learned));
    CHECK_OK(ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = 261}, &learned));
    CHECK(learned.tokens == 261 && learned.texts == 0);
    ego_bpe_learned_release(&learned);
    CHECK_ERR(EGO_EINPUT, ego_bpe_learner_add(learner, "", EGO_BPE_MAX_TEXT + 1, 1));
    CHECK_ERR(EGO_EINPUT, ego_bpe_learner_add(learner, "abc", 3, UINT64_MAX / 2));
    CHECK_OK(ego_bpe_learner_add(learner, "ab", 2, UINT64_MAX / 2));
    CHECK_ERR(EGO_EINPUT, ego_bpe_learner_add(learner, "ab", 2, 1));
    for (size_t i = 0; i < line_count; i++) ego_bpe_learner_add(learner, lines[i].bytes, 1, 0);
    CHECK_OK(ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = 300}, &learned));
    CHECK_STR(learned.merges.data, "#version: 0.2\na b\n");
    CHECK(learned.pieces == 1);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);

    learner = new_learner();
    for (size_t i = 0; i < line_count; i++)
        CHECK_OK(ego_bpe_learner_add(learner, lines[i].bytes, lines[i].n, 1));
    uint64_t told = 0;
    ego_progress progress = {stop_at_once, &told};
    CHECK_ERR(EGO_ECANCELLED,
              ego_bpe_learn(learner, &(ego_bpe_learning){.tokens = 1000, .progress = &progress},
                            &learned));
    CHECK(told == 1 && !learned.vocab.data && !learned.merges.data);
    ego_bpe_learner_free(learner);
    ego_bpe_learner_free(NULL);
}

static void test_files(void) {
    char directory[] = "/tmp/ego-learn-XXXXXX", inside[64], path[96];
    if (!CHECK(mkdtemp(directory) != NULL)) return;
    snprintf(inside, sizeof inside, "%s/a/b", directory);
    ego_bpe_learner *learner = new_learner();
    add(learner, "hug hug", 1);
    ego_bpe_learned learned = learn(learner, 300, 0);
    CHECK_OK(ego_bpe_learned_write(&learned, inside));
    ego_bpe *bpe = NULL;
    CHECK_OK(ego_bpe_load(inside, &bpe));
    CHECK(bpe && ego_bpe_count(bpe) == learned.tokens);
    ego_bpe_free(bpe);
    /* A directory in the place of a file: said, and no unfinished file stays. */
    snprintf(path, sizeof path, "%s/vocab.json", inside);
    CHECK(unlink(path) == 0 && mkdir(path, 0777) == 0);
    CHECK_ERR(EGO_EIO, ego_bpe_learned_write(&learned, inside));
    CHECK(rmdir(path) == 0);
    CHECK_ERR(EGO_EIO, ego_bpe_learned_write(&learned, "/dev/null/x"));
    snprintf(path, sizeof path, "%s/merges.txt", inside);
    CHECK(unlink(path) == 0 && rmdir(inside) == 0); /* nothing else was left */
    snprintf(inside, sizeof inside, "%s/a", directory);
    CHECK(rmdir(inside) == 0 && rmdir(directory) == 0);
    ego_bpe_learned_release(&learned);
    ego_bpe_learner_free(learner);
}

int main(void) {
    read_lines();
    test_by_hand();
    test_rules();
    test_longest_token();
    test_reference();
    test_order();
    test_long_words();
    test_refused();
    test_files();
    for (size_t i = 0; i < line_count; i++) free(lines[i].bytes);
    return check_done();
}
