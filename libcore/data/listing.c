#include "data/listing.h"

#include "base/file.h"
#include "format/charades.h"
#include "format/epic.h"

#include <string.h>

enum { MAX_HEADER = 1 << 16 };

bool ego_is_listing(const char *path) { return ego_has_suffix(path, ".csv"); }

static void add_string(ego_buf *line, const char *key, const char *value) {
    ego_buf_json_key(line, key);
    ego_buf_json_string(line, value, strlen(value));
}

static void begin_line(ego_buf *line, const char *id) {
    ego_buf_text(line, "{\"id\":");
    ego_buf_json_string(line, id, strlen(id));
}

/* The files lie as P99/P99_01.MP4. */
static void add_clip(ego_buf *line, const ego_epic_clip *clip, ego_buf *video) {
    begin_line(line, clip->id);
    ego_buf_clear(video);
    ego_buf_printf(video, "%s/%s", clip->participant, clip->video);
    add_string(line, "video", video->data ? video->data : "");
    ego_buf_json_key(line, "start");
    ego_buf_json_double(line, clip->start);
    ego_buf_json_key(line, "end");
    ego_buf_json_double(line, clip->stop);
    add_string(line, "text", clip->narration);
    ego_buf_text(line, "}\n");
}

static ego_err list_clips(const char *path, ego_arena *arena, ego_buf *lines) {
    ego_epic_clips list;
    ego_buf video = {0};
    EGO_TRY(ego_epic_clips_read(path, arena, &list));
    for (size_t i = 0; i < list.count; i++) add_clip(lines, &list.clips[i], &video);
    lines->failed = lines->failed || video.failed;
    ego_buf_release(&video);
    return EGO_OK;
}

static ego_err list_sentences(const char *path, ego_arena *arena, ego_buf *lines) {
    ego_epic_sentences list;
    EGO_TRY(ego_epic_sentences_read(path, arena, &list));
    for (size_t i = 0; i < list.count; i++) {
        begin_line(lines, list.sentences[i].id);
        add_string(lines, "text", list.sentences[i].narration);
        ego_buf_text(lines, "}\n");
    }
    return EGO_OK;
}

static ego_err list_videos(const char *path, ego_arena *arena, ego_buf *lines) {
    ego_charades list;
    EGO_TRY(ego_charades_read(path, arena, &list));
    for (size_t i = 0; i < list.count; i++) {
        begin_line(lines, list.videos[i].id);
        add_string(lines, "video", list.videos[i].id);
        ego_buf_text(lines, "}\n");
    }
    return EGO_OK;
}

/* The file's first line. */
static ego_err read_header(const char *path, ego_buf *header) {
    ego_map map;
    EGO_TRY(ego_map_open(path, &map));
    const void *end = map.size ? memchr(map.data, '\n', map.size) : NULL;
    size_t n = end ? (size_t)((const uint8_t *)end - map.data) : map.size;
    ego_buf_append(header, map.data, n < MAX_HEADER ? n : MAX_HEADER);
    ego_map_close(&map);
    return ego_buf_err(header);
}

static ego_err list_all(const char *path, const char *header, ego_arena *arena, ego_buf *lines) {
    if (strstr(header, "participant_id")) return list_clips(path, arena, lines);
    if (strstr(header, "actions")) return list_videos(path, arena, lines);
    if (strstr(header, "narration_id")) return list_sentences(path, arena, lines);
    return ego_fail(EGO_EFORMAT,
                    "%s: a list of EK-100's or Charades-Ego's expected: a header line with "
                    "participant_id, narration_id or actions",
                    path);
}

ego_err ego_listing_open(const char *path, ego_listing *listing) {
    ego_buf header = {0};
    ego_arena arena;
    *listing = (ego_listing){.path = path};
    ego_arena_init(&arena, 1 << 20);
    ego_err err = read_header(path, &header);
    if (err == EGO_OK)
        err = list_all(path, header.data ? header.data : "", &arena, &listing->lines);
    if (err == EGO_OK) err = ego_buf_err(&listing->lines);
    ego_arena_release(&arena);
    ego_buf_release(&header);
    if (err != EGO_OK) ego_listing_close(listing);
    return err;
}

void ego_listing_close(ego_listing *listing) {
    ego_buf_release(&listing->lines);
    *listing = (ego_listing){0};
}

ego_err ego_listing_next(ego_listing *listing, uint64_t before, const ego_record_rules *rules,
                         ego_record *record) {
    if (listing->at == listing->lines.len) return ego_fail(EGO_EEND, "no more records");
    const char *line = listing->lines.data + listing->at;
    size_t n = strcspn(line, "\n");
    listing->at += n + 1;
    listing->number++;
    return ego_record_parse(line, n, listing->path, listing->number + 1, before + listing->number,
                            rules, record);
}
