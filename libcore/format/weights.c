#include "format/weights.h"

#include "format/safetensors.h"
#include "format/torchfile.h"
#include "format/weights_build.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COPY_ALLOWANCE = 16 << 20 }; /* what may be copied beyond the size of the file, in bytes */

/* ---- what the readers call ----------------------------------------------------------------------- */

/* Makes room for one more element of `size` bytes in a growing array. */
static ego_err grow(const ego_weights *weights, void *array, size_t size, size_t count,
                    size_t *cap) {
    if (count < *cap) return EGO_OK;
    size_t more = *cap ? *cap * 2 : 64;
    void *old, *new;
    memcpy(&old, array, sizeof old); /* `array` is the address of a pointer of whatever type */
    new = realloc(old, more * size);
    if (!new) return ego_fail(EGO_ENOMEM, "%s: out of memory", weights->path);
    memcpy(array, &new, sizeof new);
    *cap = more;
    return EGO_OK;
}

static char *copy_text(ego_weights *weights, const char *text, size_t n) {
    char *copy = ego_arena_alloc(&weights->arena, n + 1);
    if (!copy) return NULL;
    memcpy(copy, text, n);
    copy[n] = 0;
    return copy;
}

ego_err ego__weights_add(ego_weights *weights, const char *name, size_t name_bytes,
                         const ego_tensor *tensor) {
    if (memchr(name, 0, name_bytes))
        return ego_fail(EGO_EFORMAT, "%s: tensor %zu has a NUL byte in its name", weights->path,
                        weights->count);
    EGO_TRY(grow(weights, &weights->entries, sizeof *weights->entries, weights->count,
                 &weights->entries_cap));
    char *copy = copy_text(weights, name, name_bytes);
    if (!copy) return ego_fail(EGO_ENOMEM, "%s: out of memory", weights->path);
    weights->entries[weights->count++] = (ego_weights_entry){copy, *tensor};
    return EGO_OK;
}

static ego_err add_line(ego_weights *weights, char ***lines, size_t *count, size_t *cap,
                        const char *text) {
    EGO_TRY(grow(weights, lines, sizeof **lines, *count, cap));
    char *copy = copy_text(weights, text, strlen(text));
    if (!copy) return ego_fail(EGO_ENOMEM, "%s: out of memory", weights->path);
    (*lines)[(*count)++] = copy;
    return EGO_OK;
}

ego_err ego__weights_add_metadata(ego_weights *weights, const char *key, const char *value) {
    EGO_TRY(add_line(weights, &weights->metadata, &weights->metadata_count, &weights->metadata_cap,
                     key));
    return add_line(weights, &weights->metadata, &weights->metadata_count, &weights->metadata_cap,
                    value);
}

ego_err ego__weights_skip(ego_weights *weights, const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return add_line(weights, &weights->skipped, &weights->skipped_count, &weights->skipped_cap,
                    line);
}

ego_err ego__weights_alloc(ego_weights *weights, size_t bytes, void **data) {
    if (bytes > weights->map.size + COPY_ALLOWANCE - weights->copied)
        return ego_fail(EGO_EFORMAT,
                        "%s: its tensors expand to far more than the file's %zu bytes; damaged?",
                        weights->path, weights->map.size);
    *data = ego_arena_alloc(&weights->arena, bytes);
    if (!*data)
        return ego_fail(EGO_ENOMEM, "%s: out of memory for a tensor of %zu bytes", weights->path,
                        bytes);
    weights->copied += bytes;
    return EGO_OK;
}

ego_err ego__weights_place(ego_weights *weights, const uint8_t *data, size_t bytes,
                           ego_tensor *tensor) {
    if ((uintptr_t)data % ego_dtype_bytes(tensor->dtype) == 0) {
        tensor->data = (void *)(uintptr_t)data; /* mapped read-only; nobody writes to a weight */
        return EGO_OK;
    }
    EGO_TRY(ego__weights_alloc(weights, bytes, &tensor->data));
    memcpy(tensor->data, data, bytes);
    return EGO_OK;
}

/* ---- opening ------------------------------------------------------------------------------------- */

static ego_err read_by_content(ego_weights *weights) {
    if (ego__is_torch_zip(&weights->map)) return ego__read_torch_zip(weights);
    if (ego__is_torch_legacy(&weights->map)) return ego__read_torch_legacy(weights);
    if (ego__is_torch_tar(&weights->map))
        return ego_fail(EGO_EUNSUPPORTED,
                        "%s: PyTorch's first, tar format is not read; let PyTorch save it again",
                        weights->path);
    if (ego__is_safetensors(&weights->map)) return ego__read_safetensors(weights);
    return ego_fail(EGO_EFORMAT,
                    "%s: neither a .safetensors file nor one written by torch.save (%zu bytes)",
                    weights->path, weights->map.size);
}

static int by_name(const void *a, const void *b) {
    const ego_weights_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static ego_err finish_names(ego_weights *weights) {
    static const char prefix[] = "module.";
    enum { PREFIX = sizeof prefix - 1 };
    if (weights->count && strncmp(weights->entries[0].name, prefix, PREFIX) == 0)
        for (size_t i = 0; i < weights->count; i++)
            if (strncmp(weights->entries[i].name, prefix, PREFIX) == 0)
                weights->entries[i].name += PREFIX;
    if (weights->count > 1)
        qsort(weights->entries, weights->count, sizeof *weights->entries, by_name);
    for (size_t i = 1; i < weights->count; i++)
        if (strcmp(weights->entries[i - 1].name, weights->entries[i].name) == 0)
            return ego_fail(EGO_EFORMAT, "%s: the tensor %s is there twice", weights->path,
                            weights->entries[i].name);
    return EGO_OK;
}

static ego_err read_all(ego_weights *weights) {
    EGO_TRY(read_by_content(weights));
    return finish_names(weights);
}

static ego_err new_weights(const char *path, ego_weights **weights) {
    ego_weights *w = calloc(1, sizeof *w);
    if (w) w->path = strdup(path);
    if (!w || !w->path) {
        free(w);
        return ego_fail(EGO_ENOMEM, "%s: out of memory", path);
    }
    ego_arena_init(&w->arena, 0);
    *weights = w;
    return EGO_OK;
}

ego_err ego_weights_open(const char *path, ego_weights **weights) {
    ego_err err = EGO_OK;
    ego_weights *w;
    EGO_TRY(new_weights(path, &w));
    EGO_TRY_OUT(ego_map_open(path, &w->map));
    w->owns_map = true;
    EGO_TRY_OUT(read_all(w));
    *weights = w;
out:
    if (err != EGO_OK) ego_weights_close(w);
    return err;
}

ego_err ego__weights_open_memory(const char *name, const uint8_t *data, size_t size,
                                 ego_weights **weights) {
    ego_weights *w;
    EGO_TRY(new_weights(name, &w));
    w->map = (ego_map){data, size};
    ego_err err = read_all(w);
    if (err == EGO_OK)
        *weights = w;
    else
        ego_weights_close(w);
    return err;
}

void ego_weights_close(ego_weights *weights) {
    if (!weights) return;
    if (weights->owns_map) ego_map_close(&weights->map);
    ego_arena_release(&weights->arena);
    free(weights->entries);
    free(weights->skipped);
    free(weights->metadata);
    free(weights->path);
    free(weights);
}

/* ---- asking -------------------------------------------------------------------------------------- */

size_t ego_weights_count(const ego_weights *weights) { return weights->count; }
const char *ego_weights_name(const ego_weights *weights, size_t i) {
    return weights->entries[i].name;
}
const ego_tensor *ego_weights_tensor(const ego_weights *weights, size_t i) {
    return &weights->entries[i].tensor;
}
const char *ego_weights_format(const ego_weights *weights) { return weights->format; }
const char *ego_weights_path(const ego_weights *weights) { return weights->path; }
size_t ego_weights_skipped_count(const ego_weights *weights) { return weights->skipped_count; }
const char *ego_weights_skipped(const ego_weights *weights, size_t i) {
    return weights->skipped[i];
}

const ego_tensor *ego_weights_find(const ego_weights *weights, const char *name) {
    size_t low = 0, high = weights->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(name, weights->entries[middle].name);
        if (order == 0) return &weights->entries[middle].tensor;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

bool ego_weights_is_mapped(const ego_weights *weights, const ego_tensor *tensor) {
    uintptr_t from = (uintptr_t)weights->map.data, data = (uintptr_t)tensor->data;
    return weights->owns_map && data >= from && data < from + weights->map.size;
}

const char *ego_weights_metadata(const ego_weights *weights, const char *key) {
    for (size_t i = 0; i + 1 < weights->metadata_count; i += 2)
        if (strcmp(weights->metadata[i], key) == 0) return weights->metadata[i + 1];
    return NULL;
}

size_t ego_weights_metadata_count(const ego_weights *weights) { return weights->metadata_count / 2; }

const char *ego_weights_metadata_at(const ego_weights *weights, size_t i, const char **key) {
    *key = weights->metadata[2 * i];
    return weights->metadata[2 * i + 1];
}
