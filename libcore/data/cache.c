#include "data/cache.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/hash.h"
#include "media/image.h"
#include "media/sample.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { ENTRY_BYTES = 64, ENTRIES_AT_ONCE = 256, VERSION = 1, ORDER = 0x01020304 };
static const char MAGIC[8] = "EgoCache";
static const uint64_t FARTHEST = (uint64_t)1 << 62; /* no place is beyond; sums cannot overflow */

/* What stands in frames.index: first a head, then an entry for each record. */
typedef struct head {
    char magic[8];
    uint32_t order, version; /* ORDER reads otherwise on a machine of the other byte order */
    uint8_t none[ENTRY_BYTES - 20];
    uint32_t crc;
} head;

typedef struct entry {
    ego_cache_record record;
    uint8_t none[ENTRY_BYTES - sizeof(ego_cache_record) - 4];
    uint32_t crc; /* of what is before it */
} entry;

_Static_assert(sizeof(ego_cache_record) == 40, "a record has no gaps");
_Static_assert(sizeof(head) == ENTRY_BYTES && sizeof(entry) == ENTRY_BYTES, "64 bytes an entry");

struct ego_cache {
    char *folder;
    uint64_t most;
    int index, data;      /* descriptors */
    pthread_mutex_t lock; /* of all below, and of the lock on the index */
    uint64_t index_end;   /* as far as it was read; whole entries */
    uint64_t data_end;    /* behind the last record known */
    bool full;
    ego_cache_record *records; /* frames 0: forgotten */
    size_t n, capacity;
    uint32_t *slots; /* by key: number of a record + 1, or 0; at most half are taken */
    size_t n_slots;
};

static uint32_t crc_of(const void *bytes, size_t n) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes, n);
}

static uint64_t picture_bytes(const ego_cache_record *r) {
    return (uint64_t)3 * r->width * r->height;
}

static uint64_t record_bytes(const ego_cache_record *r) {
    return (uint64_t)r->frames * (sizeof(uint32_t) + picture_bytes(r));
}

static bool is_record(const ego_cache_record *r) {
    return r->frames > 0 && r->frames <= EGO_SAMPLE_MAX_FRAMES && r->width > 0 && r->height > 0 &&
           r->width <= EGO_IMAGE_MAX_SIDE && r->height <= EGO_IMAGE_MAX_SIDE && r->at < FARTHEST;
}

ego_err ego_cache_key_of(const void *bytes, size_t n, ego_cache_key *key) {
    ego_sha256 *hash = NULL;
    char hex[65], half[17] = {0};
    EGO_TRY(ego_sha256_new(&hash));
    ego_sha256_update(hash, bytes, n);
    ego_sha256_finish(hash, hex);
    key->a = strtoull(memcpy(half, hex, 16), NULL, 16);
    key->b = strtoull(memcpy(half, hex + 16, 16), NULL, 16);
    return EGO_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static bool read_at(int file, void *bytes, size_t n, uint64_t at) {
    for (char *to = bytes; n > 0;) {
        ssize_t got = pread(file, to, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        to += got;
        at += (uint64_t)got;
        n -= (size_t)got;
    }
    return true;
}

static ego_err write_at(const ego_cache *c, int file, const void *bytes, size_t n, uint64_t at) {
    for (const char *from = bytes; n > 0;) {
        ssize_t put = pwrite(file, from, n, (off_t)at);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0)
            return ego_fail(EGO_EIO, "%s: the frame cache cannot be written: %s", c->folder,
                            put < 0 ? strerror(errno) : "nothing was taken");
        from += put;
        at += (uint64_t)put;
        n -= (size_t)put;
    }
    return EGO_OK;
}

static ego_err lock_index(const ego_cache *c, int how) {
    while (flock(c->index, how) != 0)
        if (errno != EINTR)
            return ego_fail(EGO_EIO, "%s: the frame cache cannot be locked: %s", c->folder,
                            strerror(errno));
    return EGO_OK;
}

static void unlock_index(const ego_cache *c) { flock(c->index, LOCK_UN); }

static ego_err index_size(const ego_cache *c, uint64_t *size) {
    struct stat st;
    if (fstat(c->index, &st) != 0) return ego_fail(EGO_EIO, "%s: %s", c->folder, strerror(errno));
    *size = (uint64_t)st.st_size / ENTRY_BYTES * ENTRY_BYTES;
    return EGO_OK;
}

/* ---- records in memory ----------------------------------------------------------------------- */

/* The slot of a key, or the empty one where it belongs. */
static uint32_t *slot_of(const ego_cache *c, ego_cache_key key) {
    size_t i = (size_t)key.a & (c->n_slots - 1);
    for (; c->slots[i]; i = (i + 1) & (c->n_slots - 1)) {
        const ego_cache_key *other = &c->records[c->slots[i] - 1].key;
        if (other->a == key.a && other->b == key.b) break;
    }
    return &c->slots[i];
}

static ego_cache_record *known(const ego_cache *c, ego_cache_key key) {
    uint32_t at = c->n_slots ? *slot_of(c, key) : 0;
    return at && c->records[at - 1].frames ? &c->records[at - 1] : NULL;
}

static ego_err grow(ego_cache *c) {
    size_t capacity = c->capacity ? 2 * c->capacity : 1024;
    ego_cache_record *records = realloc(c->records, capacity * sizeof *records);
    if (records) c->records = records;
    uint32_t *slots = calloc(2 * capacity, sizeof *slots);
    if (!records || !slots || capacity >= UINT32_MAX / 2) {
        free(slots);
        return ego_fail(EGO_ENOMEM, "%s: out of memory for the frame cache", c->folder);
    }
    free(c->slots);
    c->slots = slots;
    c->n_slots = 2 * capacity;
    c->capacity = capacity;
    for (size_t i = 0; i < c->n; i++) *slot_of(c, c->records[i].key) = (uint32_t)i + 1;
    return EGO_OK;
}

/* Takes up a record; a later one of the same key stands for an earlier one. */
static ego_err take_up(ego_cache *c, const ego_cache_record *record) {
    if (c->n == c->capacity) EGO_TRY(grow(c));
    uint32_t *slot = slot_of(c, record->key);
    if (!*slot) *slot = (uint32_t)++c->n;
    c->records[*slot - 1] = *record;
    uint64_t end = record->at + record_bytes(record);
    if (end > c->data_end) c->data_end = end;
    return EGO_OK;
}

/* Reads the entries that others added; a lock is held. Damaged ones are passed over. */
static ego_err read_index(ego_cache *c) {
    entry entries[ENTRIES_AT_ONCE];
    uint64_t size = 0;
    EGO_TRY(index_size(c, &size));
    while (c->index_end < size) {
        uint64_t n = (size - c->index_end) / ENTRY_BYTES;
        if (n > ENTRIES_AT_ONCE) n = ENTRIES_AT_ONCE;
        if (!read_at(c->index, entries, (size_t)n * ENTRY_BYTES, c->index_end))
            return ego_fail(EGO_EIO, "%s: frames.index cannot be read", c->folder);
        for (uint64_t i = 0; i < n; i++)
            if (entries[i].crc == crc_of(&entries[i], offsetof(entry, crc)) &&
                is_record(&entries[i].record))
                EGO_TRY(take_up(c, &entries[i].record));
        c->index_end += n * ENTRY_BYTES;
    }
    return EGO_OK;
}

/* ---- open and close -------------------------------------------------------------------------- */

static ego_err open_file(const ego_cache *c, const char *name, int *file) {
    ego_buf path = {0};
    ego_buf_printf(&path, "%s/%s", c->folder, name);
    ego_err err = ego_buf_err(&path);
    if (err == EGO_OK && (*file = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) < 0)
        err = ego_fail(EGO_EIO, "%s: %s", path.data, strerror(errno));
    ego_buf_release(&path);
    return err;
}

/* Writes the head of a new index, or checks that of an old one, and reads what follows. */
static ego_err start_index(ego_cache *c) {
    head want = {.order = ORDER, .version = VERSION}, found;
    uint64_t size = 0;
    memcpy(want.magic, MAGIC, sizeof want.magic);
    want.crc = crc_of(&want, offsetof(head, crc));
    EGO_TRY(index_size(c, &size));
    if (size == 0) EGO_TRY(write_at(c, c->index, &want, sizeof want, 0));
    if (!read_at(c->index, &found, sizeof found, 0) || memcmp(&found, &want, sizeof want) != 0)
        return ego_fail(EGO_EFORMAT,
                        "%s/frames.index: expected the index of a frame cache of this machine's "
                        "byte order and version %d, found something else: remove it with "
                        "frames.data, or name another folder",
                        c->folder, VERSION);
    c->index_end = ENTRY_BYTES;
    return read_index(c);
}

ego_err ego_cache_open(const char *folder, uint64_t most, ego_cache **out) {
    ego_err err = EGO_OK;
    ego_cache *c = calloc(1, sizeof *c);
    if (!c) return ego_fail(EGO_ENOMEM, "out of memory for the frame cache");
    pthread_mutex_init(&c->lock, NULL);
    c->index = c->data = -1;
    c->most = most;
    if (!(c->folder = strdup(folder))) {
        err = ego_fail(EGO_ENOMEM, "out of memory for the frame cache");
        goto out;
    }
    EGO_TRY_OUT(ego_make_directory(folder));
    EGO_TRY_OUT(open_file(c, "frames.index", &c->index));
    EGO_TRY_OUT(open_file(c, "frames.data", &c->data));
    EGO_TRY_OUT(grow(c));
    EGO_TRY_OUT(lock_index(c, LOCK_EX));
    err = start_index(c);
    unlock_index(c);
    if (err) goto out;
    *out = c;
    c = NULL;
out:
    ego_cache_close(c);
    return err;
}

void ego_cache_close(ego_cache *c) {
    if (!c) return;
    if (c->index >= 0) close(c->index);
    if (c->data >= 0) close(c->data);
    pthread_mutex_destroy(&c->lock);
    free(c->folder);
    free(c->records);
    free(c->slots);
    free(c);
}

/* ---- use ------------------------------------------------------------------------------------- */

/* Looks whether others added something. Trouble means that nothing is found. */
static void look_again(ego_cache *c) {
    uint64_t size = 0;
    if (index_size(c, &size) != EGO_OK || size <= c->index_end) return;
    if (lock_index(c, LOCK_SH) != EGO_OK) return;
    (void)read_index(c);
    unlock_index(c);
}

bool ego_cache_find(ego_cache *c, ego_cache_key key, ego_cache_record *record) {
    pthread_mutex_lock(&c->lock);
    ego_cache_record *found = known(c, key);
    if (!found) {
        look_again(c);
        found = known(c, key);
    }
    if (found) *record = *found;
    pthread_mutex_unlock(&c->lock);
    return found != NULL;
}

static void forget(ego_cache *c, const ego_cache_record *record) {
    pthread_mutex_lock(&c->lock);
    ego_cache_record *found = known(c, record->key);
    if (found && found->at == record->at) found->frames = 0;
    pthread_mutex_unlock(&c->lock);
}

static bool read_pictures(const ego_cache *c, const ego_cache_record *r, const int *which, int n,
                          uint8_t *rgb) {
    uint32_t table[EGO_SAMPLE_MAX_FRAMES];
    size_t table_bytes = r->frames * sizeof *table, bytes = (size_t)picture_bytes(r);
    if (!read_at(c->data, table, table_bytes, r->at) || crc_of(table, table_bytes) != r->table)
        return false;
    for (int i = 0; i < n; i++, rgb += bytes) {
        uint64_t at = r->at + table_bytes + (uint64_t)which[i] * bytes;
        if (!read_at(c->data, rgb, bytes, at) || crc_of(rgb, bytes) != table[which[i]])
            return false;
    }
    return true;
}

bool ego_cache_read(ego_cache *c, const ego_cache_record *record, const int *which, int n,
                    uint8_t *rgb) {
    bool good = read_pictures(c, record, which, n, rgb);
    if (!good) forget(c, record);
    return good;
}

/* The data goes first: a record is there when its entry is. The locks are held. */
static ego_err append(ego_cache *c, ego_cache_record *r, const uint8_t *rgb) {
    uint32_t table[EGO_SAMPLE_MAX_FRAMES];
    size_t table_bytes = r->frames * sizeof *table, bytes = (size_t)picture_bytes(r);
    for (uint32_t i = 0; i < r->frames; i++) table[i] = crc_of(rgb + i * bytes, bytes);
    r->table = crc_of(table, table_bytes);
    r->at = c->data_end;
    entry e = {.record = *r};
    e.crc = crc_of(&e, offsetof(entry, crc));
    EGO_TRY(write_at(c, c->data, table, table_bytes, r->at));
    EGO_TRY(write_at(c, c->data, rgb, r->frames * bytes, r->at + table_bytes));
    EGO_TRY(write_at(c, c->index, &e, sizeof e, c->index_end));
    c->index_end += sizeof e;
    return take_up(c, r);
}

static ego_err add_locked(ego_cache *c, ego_cache_record *r, const uint8_t *rgb, bool *added) {
    EGO_TRY(read_index(c));
    const ego_cache_record *other = known(c, r->key);
    if (other) return *r = *other, EGO_OK;
    uint64_t used = c->index_end + c->data_end, need = record_bytes(r) + ENTRY_BYTES;
    c->full = c->full || used > c->most || need > c->most - used;
    if (c->full) return EGO_OK;
    EGO_TRY(append(c, r, rgb));
    *added = true;
    return EGO_OK;
}

ego_err ego_cache_add(ego_cache *c, ego_cache_record *record, const uint8_t *rgb, bool *added) {
    *added = false;
    record->at = 0;
    if (!is_record(record))
        return ego_fail(EGO_EINPUT, "the frame cache cannot take %u pictures of %u x %u",
                        record->frames, record->width, record->height);
    pthread_mutex_lock(&c->lock);
    ego_err err = c->full ? EGO_OK : lock_index(c, LOCK_EX);
    if (err == EGO_OK && !c->full) {
        err = add_locked(c, record, rgb, added);
        unlock_index(c);
    }
    if (err) c->full = true;
    pthread_mutex_unlock(&c->lock);
    return err;
}

bool ego_cache_is_full(ego_cache *c) {
    pthread_mutex_lock(&c->lock);
    bool full = c->full;
    pthread_mutex_unlock(&c->lock);
    return full;
}

uint64_t ego_cache_bytes(ego_cache *c) {
    pthread_mutex_lock(&c->lock);
    uint64_t bytes = c->index_end + c->data_end;
    pthread_mutex_unlock(&c->lock);
    return bytes;
}

size_t ego_cache_count(ego_cache *c) {
    pthread_mutex_lock(&c->lock);
    size_t count = 0;
    for (size_t i = 0; i < c->n; i++) count += c->records[i].frames != 0;
    pthread_mutex_unlock(&c->lock);
    return count;
}
