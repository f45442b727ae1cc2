/* The tokenizer: 6,973 lines on which HuggingFace's and our own Python one agree, then what they
 * cannot tell: truncation, bytes, decoding, bad files, a word of a megabyte. */
#include "bpe_lines.h"
#include "text/bpe.h"

#include <time.h>

static bpe_line line;
static ego_bpe *bpe;

static int equal(const ego_tokens *tokens, const bpe_line *want) {
    if (tokens->count != want->count) return 0;
    for (unsigned i = 0; i < want->count; i++)
        if (tokens->ids[i] != want->ids[i]) return 0;
    return 1;
}

/* The ids cut by hand, for each limit, are what encode gives with it. */
static void check_truncation(const ego_tokens *whole) {
    static const size_t limits[] = {2, 3, 15, 30};
    ego_tokens cut = {0};
    for (size_t k = 0; k < sizeof limits / sizeof *limits; k++) {
        size_t limit = limits[k], count = whole->count < limit ? whole->count : limit;
        CHECK_OK(ego_bpe_encode(bpe, line.text, line.text_bytes, limit, &cut));
        CHECK(cut.count == count);
        CHECK(memcmp(cut.ids, whole->ids, (count - 1) * sizeof *cut.ids) == 0);
        CHECK(cut.ids[count - 1] == ego_bpe_end_id(bpe));
    }
    ego_tokens_release(&cut);
}

/* Decoding gives the text back, but for the white space that `<mask>` swallows. */
static void check_decoding(const ego_tokens *tokens) {
    ego_buf text = {0};
    CHECK_OK(ego_bpe_decode(bpe, tokens->ids + 1, tokens->count - 2, true, &text));
    line.text[line.text_bytes] = 0;
    int masked = 0;
    for (size_t i = 0; i < tokens->count; i++) masked |= tokens->ids[i] == ego_bpe_mask_id(bpe);
    if (!masked)
        CHECK(text.len == line.text_bytes &&
              !memcmp(text.data ? text.data : "", line.text, text.len));
    ego_buf_release(&text);
}

static void test_lines(void) {
    gzFile file = gzopen(BPE_DATA "/lines.gz", "rb");
    if (!CHECK(file != NULL)) return;
    ego_tokens tokens = {0};
    int lines = 0;
    for (; read_bpe_line(file, &line); lines++) {
        CHECK_OK(ego_bpe_encode(bpe, line.text, line.text_bytes, 0, &tokens));
        if (!CHECK(equal(&tokens, &line)))
            fprintf(stderr, "    line %d: '%.*s'\n", lines + 1, (int)line.text_bytes, line.text);
        check_truncation(&tokens);
        check_decoding(&tokens);
    }
    CHECK(lines == 6973);
    ego_tokens_release(&tokens);
    gzclose(file);
}

static void test_ids(void) {
    CHECK(ego_bpe_count(bpe) == 1261 && !ego_bpe_is_bytes(bpe));
    CHECK(ego_bpe_start_id(bpe) == 0 && ego_bpe_pad_id(bpe) == 1 && ego_bpe_end_id(bpe) == 2);
    CHECK(ego_bpe_unk_id(bpe) == 3 && ego_bpe_mask_id(bpe) == 1260);
    CHECK(ego_bpe_is_special(bpe, 1260) && !ego_bpe_is_special(bpe, 4) &&
          !ego_bpe_is_special(bpe, -1));
    size_t n = 0;
    CHECK_STR(ego_bpe_token(bpe, 2, &n), "</s>");
    CHECK(n == 4 && !ego_bpe_token(bpe, 1261, &n) && !ego_bpe_token(bpe, -1, &n));
    ego_buf text = {0};
    const int64_t bad[] = {0, 5, 1261};
    CHECK_ERR(EGO_EINPUT, ego_bpe_decode(bpe, bad, 3, true, &text));
    ego_buf_clear(&text);
    const int64_t special[] = {0, 1260, 2, 1};
    CHECK_OK(ego_bpe_decode(bpe, special, 4, true, &text));
    CHECK_STR(text.data, "<s><mask></s><pad>");
    ego_buf_clear(&text);
    CHECK_OK(ego_bpe_decode(bpe, special, 4, false, &text));
    CHECK(text.len == 0);
    ego_buf_release(&text);
    ego_tokens tokens = {0};
    CHECK_ERR(EGO_EINPUT, ego_bpe_encode(bpe, "a", 1, 1, &tokens));
    CHECK_ERR(EGO_EINPUT, ego_bpe_encode(bpe, "a", EGO_BPE_MAX_TEXT + 1, 0, &tokens));
    ego_tokens_release(&tokens);
}

static void test_bytes(void) {
    ego_bpe *bytes = NULL;
    CHECK_ERR(EGO_EINPUT, ego_bpe_new_bytes(260, &bytes));
    CHECK_ERR(EGO_EINPUT, ego_bpe_new_bytes((size_t)EGO_BPE_MAX_TOKENS + 1, &bytes));
    CHECK_OK(ego_bpe_new_bytes(261, &bytes));
    CHECK(ego_bpe_mask_id(bytes) == 260);
    ego_bpe_free(bytes);
    if (!CHECK_OK(ego_bpe_new_bytes(512, &bytes))) return;
    CHECK(ego_bpe_is_bytes(bytes) && ego_bpe_count(bytes) == 512 && ego_bpe_mask_id(bytes) == 511);
    static const char text[] = "a \xC3\xA9\xFF <mask>.\0";
    static const int64_t want[] = {0, 101, 36, 199, 173, 259, 511, 50, 4, 2};
    ego_tokens tokens = {0};
    CHECK_OK(ego_bpe_encode(bytes, text, sizeof text - 1, 0, &tokens));
    CHECK(tokens.count == 10 && !memcmp(tokens.ids, want, sizeof want));
    ego_buf back = {0};
    CHECK_OK(ego_bpe_decode(bytes, tokens.ids, tokens.count, true, &back));
    CHECK(back.len == 20 && !memcmp(back.data, "<s>a \xC3\xA9\xFF<mask>.\0</s>", 20));
    const int64_t hole = 300;
    CHECK_ERR(EGO_EINPUT, ego_bpe_decode(bytes, &hole, 1, true, &back));
    ego_buf_release(&back);
    ego_tokens_release(&tokens);
    ego_bpe_free(bytes);
}

/* A vocabulary of the specials, all bytes, and `extra` (members with a comma before each). */
static void small_vocab(ego_buf *vocab, const char *extra) {
    ego_buf_text(vocab, "{\"<s>\":0,\"<pad>\":1,\"</s>\":2");
    int next = 0x100;
    for (int b = 0; b < 256; b++) {
        int visible = (b >= 33 && b < 127) || (b >= 161 && b != 173);
        ego_buf_printf(vocab, ",\"\\u%04x\":%d", (unsigned)(visible ? b : next++), b + 3);
    }
    ego_buf_text(vocab, extra);
    ego_buf_char(vocab, '}');
}

static void check_bad(const char *extra, const char *merges, const char *message) {
    ego_buf vocab = {0};
    ego_bpe *made = NULL;
    small_vocab(&vocab, extra);
    CHECK_ERR(EGO_EFORMAT,
              ego_bpe_from_memory(vocab.data, vocab.len, merges, strlen(merges), &made));
    if (!CHECK(strstr(ego_err_message(), message) != NULL))
        fprintf(stderr, "    '%s' expected in '%s'\n", message, ego_err_message());
    ego_bpe_free(made);
    ego_buf_release(&vocab);
}

static void test_bad_files(void) {
    check_bad(",\"ab\":3", "", "have the same id 3");
    check_bad(",\"ab\":-1", "", "'ab': an id from 0");
    check_bad(",\"ab\":1.5", "", "'ab': an id from 0");
    check_bad(",\"ab\":\"x\"", "", "found a string");
    check_bad(",\"ab\":1048576", "", "'ab': an id from 0");
    check_bad(",\"\":259", "", "an empty token");
    check_bad(",\"a\":259", "", "'a' stands there twice");
    check_bad("", "#version: 0.2\na b\n", "merges.txt line 2: 'a b': the two joined");
    check_bad("", "a xyz\n", "merges.txt line 1: 'a xyz': the second");
    check_bad(",\"ab\":259", "a b\nab\n", "merges.txt line 2: two tokens");
    check_bad(",\"ab\":259", "a b c\n", "merges.txt line 1: two tokens");
    check_bad(",\"ab\":259", "a b\n\na b\n", "merges.txt line 3: 'a b' is already merge 1");
    ego_bpe *made = NULL;
    CHECK_ERR(EGO_EFORMAT, ego_bpe_from_memory("[]", 2, "", 0, &made));
    CHECK_ERR(EGO_EFORMAT, ego_bpe_from_memory("{}", 2, "", 0, &made));
    CHECK_ERR(EGO_EFORMAT, ego_bpe_from_memory("{\"<s>\":0}", 9, "", 0, &made));
    CHECK(strstr(ego_err_message(), "byte 0x00") != NULL);
    CHECK_ERR(EGO_EIO, ego_bpe_load("tests/unit/data/nowhere", &made));
    CHECK(strstr(ego_err_message(), "nowhere/vocab.json") != NULL);
}

static void test_without_mask(void) {
    ego_buf vocab = {0};
    ego_bpe *made = NULL;
    small_vocab(&vocab, ",\"ab\":300");
    if (!CHECK_OK(ego_bpe_from_memory(vocab.data, vocab.len, "a b\r\n", 5, &made))) return;
    CHECK(ego_bpe_count(made) == 301 && ego_bpe_mask_id(made) == 300 && ego_bpe_unk_id(made) == -1);
    ego_tokens tokens = {0};
    CHECK_OK(ego_bpe_encode(made, "ab<mask>", 8, 0, &tokens));
    CHECK(tokens.count == 9 && tokens.ids[1] == 300); /* the six characters of <mask> one by one */
    ego_tokens_release(&tokens);
    ego_bpe_free(made);
    ego_buf_release(&vocab);
}

/* Were merging quadratic, a megabyte would take minutes. */
static void test_long_word(void) {
    enum { N = 1 << 20 };
    char *text = malloc(N);
    if (!CHECK(text != NULL)) return;
    for (size_t i = 0; i < N; i++) text[i] = "thecounter"[i * i % 10];
    ego_tokens tokens = {0};
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    CHECK_OK(ego_bpe_encode(bpe, text, N, 0, &tokens));
    clock_gettime(CLOCK_MONOTONIC, &to);
    double seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
    printf("a word of 1 MiB: %zu tokens, %.2f s\n", tokens.count, seconds);
    CHECK(seconds < 20);
    ego_buf back = {0};
    CHECK_OK(ego_bpe_decode(bpe, tokens.ids, tokens.count, false, &back));
    CHECK(back.len == N && !memcmp(back.data, text, N));
    ego_buf_release(&back);
    ego_tokens_release(&tokens);
    free(text);
}

int main(void) {
    if (!CHECK_OK(ego_bpe_load(BPE_DATA, &bpe))) return check_done();
    test_lines();
    test_ids();
    test_bytes();
    test_bad_files();
    test_without_mask();
    test_long_word();
    ego_bpe_free(bpe);
    return check_done();
}
