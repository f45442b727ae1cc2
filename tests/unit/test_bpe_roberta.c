/* The same lines with RoBERTa's own vocabulary. It is not ours to ship, so only the SHA-256 of the
 * ids is stored: over every line's count and ids as 32-bit little-endian numbers. */
#include "base/hash.h"
#include "bpe_lines.h"
#include "text/bpe.h"

static bpe_line line;

static void hash_u32(ego_sha256 *hash, uint64_t value) {
    const unsigned char b[4] = {value & 0xFF, value >> 8 & 0xFF, value >> 16 & 0xFF,
                                value >> 24 & 0xFF};
    ego_sha256_update(hash, b, 4);
}

int main(void) {
    const char *shared = getenv("EGO_SHARED");
    char directory[4096], want[65] = "", got[65] = "";
    snprintf(directory, sizeof directory, "%s/roberta", shared ? shared : "../shared");
    ego_bpe *bpe = NULL;
    ego_err err = ego_bpe_load(directory, &bpe);
    if (err == EGO_EIO)
        return check_skip(
            "RoBERTa's vocabulary is not in $EGO_SHARED/roberta or ../shared/roberta");
    ego_sha256 *hash = NULL;
    FILE *stored = fopen(BPE_DATA "/roberta.sha256", "r");
    gzFile file = gzopen(BPE_DATA "/lines.gz", "rb");
    if (!CHECK_OK(err) || !CHECK(stored && file) || !CHECK_OK(ego_sha256_new(&hash))) return 1;
    CHECK(fread(want, 1, 64, stored) == 64);
    CHECK(ego_bpe_count(bpe) == 50265 && ego_bpe_mask_id(bpe) == 50264 && ego_bpe_unk_id(bpe) == 3);
    ego_tokens tokens = {0};
    size_t lines = 0, ids = 0;
    for (; read_bpe_line(file, &line); lines++, ids += tokens.count) {
        CHECK_OK(ego_bpe_encode(bpe, line.text, line.text_bytes, 0, &tokens));
        hash_u32(hash, tokens.count);
        for (size_t i = 0; i < tokens.count; i++) hash_u32(hash, (uint64_t)tokens.ids[i]);
    }
    ego_sha256_finish(hash, got);
    CHECK_STR(got, want);
    printf("%zu lines, %zu ids\n", lines, ids);
    ego_tokens_release(&tokens);
    gzclose(file);
    fclose(stored);
    ego_bpe_free(bpe);
    return check_done();
}
