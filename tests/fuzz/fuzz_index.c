/* An index read for --update: files whose clips are all there, whatever came before or after. */
#include "task/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile float sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_index index;
    if (ego__index_parse(data, size, &index) != EGO_OK) return 0;
    for (size_t i = 0; i < index.n_files; i++) {
        const ego_index_file *f = &index.files[i];
        if (!f->clips || f->first + f->clips > index.n_clips) __builtin_trap();
        for (size_t k = f->first; k < f->first + f->clips; k++) {
            const ego_index_clip *clip = &index.clips[k];
            if ((clip->vector == NULL) == (clip->error == NULL)) __builtin_trap();
            for (size_t d = 0; clip->vector && d < index.dim; d++) sink += clip->vector[d];
        }
    }
    ego_index_close(&index);
    return 0;
}
