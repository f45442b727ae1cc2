/* Any bytes as a video: opened, measured, read forward and back, converted. */
#include "media/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const double times[] = {0, 0.3, 5, 0.1, 1e6};
    enum { MANY = 1 << 20 }; /* pixels: more only take time */
    ego_video *video = NULL;
    ego_video_info info;
    ego_image image = {0};
    bool found;
    if (ego_video_open_memory(data, size, "fuzz", NULL, &video) != EGO_OK) return 0;
    if (ego_video_get_info(video, &info) == EGO_OK && (int64_t)info.width * info.height <= MANY) {
        for (size_t i = 0; i < sizeof times / sizeof *times; i++)
            if (ego_video_seek(video, times[i]) != EGO_OK) break;
        if (ego_video_seek_number(video, 3, &found) == EGO_OK) ego_video_image(video, &image);
    }
    ego_image_free(&image);
    ego_video_close(video);
    return 0;
}
