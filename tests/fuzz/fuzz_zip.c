/* The directory of a zip archive, and the bytes of every entry. */
#include "format/zip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile size_t sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    ego_zip zip;
    if (ego_zip_open(data, size, &zip) != EGO_OK) return 0;
    for (size_t i = 0; i < zip.count; i++) {
        const ego_zip_entry *entry = &zip.entries[i];
        const uint8_t *bytes;
        if (!ego_zip_find(&zip, entry->name, entry->name_bytes)) __builtin_trap();
        if (ego_zip_data(&zip, entry, &bytes) != EGO_OK || entry->size == 0) continue;
        sink += (size_t)bytes[0] + bytes[entry->size / 2] + bytes[entry->size - 1];
    }
    ego_zip_close(&zip);
    return 0;
}
