#include "format/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_MAGIC = 0x04034b50,     /* "PK\3\4" */
    DIRECTORY_MAGIC = 0x02014b50, /* "PK\1\2" */
    END_MAGIC = 0x06054b50,       /* "PK\5\6" */
    END64_MAGIC = 0x06064b50,     /* "PK\6\6" */
    LOCATOR64_MAGIC = 0x07064b50, /* "PK\6\7" */
    LOCAL_BYTES = 30,
    DIRECTORY_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR64_BYTES = 20,
    MAX_COMMENT = 65535,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
};

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | (uint32_t)u16(p + 2) << 16; }
static uint64_t u64(const uint8_t *p) { return u32(p) | (uint64_t)u32(p + 4) << 32; }

bool ego_zip_probe(const uint8_t *data, size_t size) {
    return size >= LOCAL_BYTES && u32(data) == LOCAL_MAGIC;
}

/* Where the central directory is and how many entries it has. */
typedef struct directory {
    uint64_t offset, bytes, count;
} directory;

static ego_err read_end64(const ego_zip *zip, size_t end, directory *dir) {
    if (end < LOCATOR64_BYTES || u32(zip->data + end - LOCATOR64_BYTES) != LOCATOR64_MAGIC)
        return ego_fail(EGO_EFORMAT, "zip: the zip64 locator is missing before offset %zu", end);
    uint64_t at = u64(zip->data + end - LOCATOR64_BYTES + 8);
    if (zip->size < END64_BYTES || at > zip->size - END64_BYTES ||
        u32(zip->data + at) != END64_MAGIC)
        return ego_fail(EGO_EFORMAT, "zip: no zip64 end record at offset %" PRIu64, at);
    const uint8_t *p = zip->data + at;
    *dir = (directory){.count = u64(p + 32), .bytes = u64(p + 40), .offset = u64(p + 48)};
    return EGO_OK;
}

static ego_err find_directory(const ego_zip *zip, directory *dir) {
    if (zip->size < END_BYTES) return ego_fail(EGO_EFORMAT, "zip: only %zu bytes", zip->size);
    size_t end = zip->size - END_BYTES, lowest = end > MAX_COMMENT ? end - MAX_COMMENT : 0;
    while (u32(zip->data + end) != END_MAGIC) {
        if (end == lowest)
            return ego_fail(EGO_EFORMAT, "zip: no directory at the end of %zu bytes; cut short?",
                            zip->size);
        end--;
    }
    const uint8_t *p = zip->data + end;
    *dir = (directory){.count = u16(p + 10), .bytes = u32(p + 12), .offset = u32(p + 16)};
    if (dir->count == UINT16_MAX || dir->bytes == UINT32_MAX || dir->offset == UINT32_MAX)
        EGO_TRY(read_end64(zip, end, dir));
    if (dir->offset > zip->size || dir->bytes > zip->size - dir->offset)
        return ego_fail(EGO_EFORMAT,
                        "zip: a directory of %" PRIu64 " bytes at offset %" PRIu64
                        " in a file of %zu bytes; cut short?",
                        dir->bytes, dir->offset, zip->size);
    if (dir->count > dir->bytes / DIRECTORY_BYTES)
        return ego_fail(EGO_EFORMAT, "zip: %" PRIu64 " entries in a directory of %" PRIu64 " bytes",
                        dir->count, dir->bytes);
    return EGO_OK;
}

/* The zip64 extra field holds, in this order, those of the three that did not fit in 32 bits. */
static void read_extra64(const uint8_t *extra, size_t n, ego_zip_entry *entry) {
    uint64_t *wide[3] = {&entry->size, &entry->packed, &entry->header_offset};
    while (n >= 4) {
        size_t kind = u16(extra), bytes = u16(extra + 2);
        extra += 4;
        n -= 4;
        if (bytes > n) break;
        for (size_t i = 0, at = 0; kind == EXTRA_ZIP64 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (bytes - at < 8) break;
            *wide[i] = u64(extra + at);
            at += 8;
        }
        extra += bytes;
        n -= bytes;
    }
}

static ego_err read_entry(const ego_zip *zip, const uint8_t *p, size_t left, ego_zip_entry *entry,
                          size_t *used) {
    if (left < DIRECTORY_BYTES || u32(p) != DIRECTORY_MAGIC)
        return ego_fail(EGO_EFORMAT, "zip: a directory entry was expected at offset %zu",
                        (size_t)(p - zip->data));
    size_t name = u16(p + 28), extra = u16(p + 30), comment = u16(p + 32);
    if (name + extra + comment > left - DIRECTORY_BYTES)
        return ego_fail(EGO_EFORMAT, "zip: the directory entry at offset %zu leaves the directory",
                        (size_t)(p - zip->data));
    *entry = (ego_zip_entry){
        .name = (const char *)p + DIRECTORY_BYTES,
        .name_bytes = name,
        .method = u16(p + 10),
        .packed = u32(p + 20),
        .size = u32(p + 24),
        .header_offset = u32(p + 42),
    };
    *used = DIRECTORY_BYTES + name + extra + comment;
    read_extra64(p + DIRECTORY_BYTES + name, extra, entry);
    return EGO_OK;
}

static int compare_names(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
    int order = memcmp(a, b, a_bytes < b_bytes ? a_bytes : b_bytes);
    if (order) return order;
    return (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

static int by_name(const void *a, const void *b) {
    const ego_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->name_bytes, y->name, y->name_bytes);
}

ego_err ego_zip_open(const uint8_t *data, size_t size, ego_zip *zip) {
    ego_err err = EGO_OK;
    directory dir;
    *zip = (ego_zip){.data = data, .size = size};
    EGO_TRY(find_directory(zip, &dir));
    zip->entries = calloc(dir.count + 1, sizeof *zip->entries);
    if (!zip->entries) return ego_fail(EGO_ENOMEM, "zip: out of memory");
    const uint8_t *p = data + dir.offset, *end = p + dir.bytes;
    for (; zip->count < dir.count; zip->count++) {
        size_t used;
        EGO_TRY_OUT(read_entry(zip, p, (size_t)(end - p), &zip->entries[zip->count], &used));
        p += used;
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
out:
    if (err != EGO_OK) ego_zip_close(zip);
    return err;
}

void ego_zip_close(ego_zip *zip) {
    free(zip->entries);
    *zip = (ego_zip){0};
}

const ego_zip_entry *ego_zip_find(const ego_zip *zip, const char *name, size_t name_bytes) {
    if (!zip->count) return NULL;
    ego_zip_entry key = {.name = name, .name_bytes = name_bytes};
    return bsearch(&key, zip->entries, zip->count, sizeof *zip->entries, by_name);
}

ego_err ego_zip_data(const ego_zip *zip, const ego_zip_entry *entry, const uint8_t **data) {
    int width = entry->name_bytes < 200 ? (int)entry->name_bytes : 200;
    if (zip->size < LOCAL_BYTES || entry->header_offset > zip->size - LOCAL_BYTES ||
        u32(zip->data + entry->header_offset) != LOCAL_MAGIC)
        return ego_fail(EGO_EFORMAT, "zip: %.*s: no entry at offset %" PRIu64, width, entry->name,
                        entry->header_offset);
    const uint8_t *p = zip->data + entry->header_offset;
    if (entry->method != 0 || (u16(p + 6) & FLAG_ENCRYPTED))
        return ego_fail(EGO_EUNSUPPORTED,
                        "zip: %.*s: compressed or encrypted (method %u); torch.save does neither",
                        width, entry->name, entry->method);
    uint64_t from = entry->header_offset + LOCAL_BYTES + u16(p + 26) + u16(p + 28);
    if (entry->packed != entry->size || from > zip->size || entry->size > zip->size - from)
        return ego_fail(EGO_EFORMAT,
                        "zip: %.*s: %" PRIu64 " bytes at offset %" PRIu64
                        " are not within the file's %zu",
                        width, entry->name, entry->size, from, zip->size);
    *data = zip->data + from;
    return EGO_OK;
}
