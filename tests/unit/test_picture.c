/* Pictures for people and the encoder: text, scaling, sheets, PNG and H.264 files that read back. */
#include "check.h"

#include "base/file.h"
#include "media/decode.h"
#include "media/encode.h"
#include "media/font.h"
#include "media/picture.h"

#include <png.h>
#include <unistd.h>

static const ego_colour black = {0, 0, 0}, white = {255, 255, 255};

static const uint8_t *pixel(const ego_image *image, int x, int y) {
    return image->rgb + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static int count_white(const ego_image *image) {
    int n = 0;
    for (int i = 0; i < image->width * image->height; i++) n += image->rgb[i * 3] == 255;
    return n;
}

static void test_boxes(void) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(10, 8, &image));
    ego_draw_fill(&image, black);
    ego_draw_box(&image, -5, -5, 8, 7, white); /* 3 x 2 of it inside */
    CHECK(count_white(&image) == 6);
    ego_draw_box(&image, 9, 7, 100, 100, white);
    CHECK(count_white(&image) == 7);
    ego_draw_box(&image, 20, 20, 5, 5, white);
    CHECK(count_white(&image) == 7);
    ego_draw_fill(&image, black);
    ego_draw_frame(&image, 1, 1, 5, 4, white);
    CHECK(count_white(&image) == 14);
    ego_image_free(&image);
}

static void test_alphabet(void) {
    /* Every glyph but the space has ink, and no two of them look alike. */
    for (int a = EGO_FONT_FIRST; a <= EGO_FONT_BOX; a++) {
        int ink = 0;
        for (int row = 0; row < EGO_FONT_ROWS; row++) {
            ink += ego_font[a - EGO_FONT_FIRST][row] != 0;
            CHECK(ego_font[a - EGO_FONT_FIRST][row] < 32);
        }
        CHECK((ink > 0) == (a != ' '));
        for (int b = EGO_FONT_FIRST; b < a; b++)
            CHECK(memcmp(ego_font[a - EGO_FONT_FIRST], ego_font[b - EGO_FONT_FIRST],
                         EGO_FONT_ROWS) != 0);
    }
}

static void test_text(void) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(200, 60, &image));
    ego_draw_fill(&image, black);
    CHECK(ego_draw_text(&image, 2, 2, 1, "Ego", 3, white) == 2 + 3 * EGO_FONT_ADVANCE);
    int small = count_white(&image);
    ego_draw_fill(&image, black);
    ego_draw_text(&image, 2, 2, 3, "Ego", 3, white);
    CHECK(count_white(&image) == 9 * small);
    /* A letter of two bytes is one box, a stray byte another. */
    ego_draw_fill(&image, black);
    CHECK(ego_draw_text(&image, 0, 0, 1, "\xc3\xa9\xff", 3, white) == 2 * EGO_FONT_ADVANCE);
    CHECK(pixel(&image, 0, 0)[0] == 255 && pixel(&image, 2, 3)[0] == 0);
    /* Drawing far outside is harmless. */
    ego_draw_text(&image, -1000, -1000, 5, "text", 4, white);
    ego_draw_text(&image, 195, 55, 5, "text", 4, white);
    ego_image_free(&image);
}

static void test_paragraph(void) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(100, 100, &image));
    ego_draw_fill(&image, black);
    int line = EGO_FONT_LINE;
    CHECK(ego_draw_paragraph(&image, 0, 0, 100, 100, 1, "one", white) == line);
    CHECK(ego_draw_paragraph(&image, 0, 0, 100, 100, 1, "one\ntwo\n\nfour", white) == 4 * line);
    CHECK(ego_draw_paragraph(&image, 0, 0, 8 * EGO_FONT_ADVANCE, 100, 1, "two words", white) ==
          2 * line);
    CHECK(ego_draw_paragraph(&image, 0, 0, 5 * EGO_FONT_ADVANCE, 100, 1, "unbreakable", white) ==
          3 * line);
    CHECK(ego_draw_paragraph(&image, 0, 0, 5 * EGO_FONT_ADVANCE, 2 * line, 1, "a b c d e f g h i j",
                             white) == 2 * line);
    CHECK(ego_draw_paragraph(&image, 0, 7, 5, 100, 1, "no room", white) == 7);
    ego_image_free(&image);
}

static void test_scaling(void) {
    ego_image from = {0}, to = {0};
    CHECK_OK(ego_image_new(4, 4, &from));
    CHECK_OK(ego_image_new(2, 2, &to));
    for (int i = 0; i < 16; i++) memset(from.rgb + i * 3, i * 10, 3);
    ego_draw_image(&to, 0, 0, 2, 2, &from); /* the mean of each quarter */
    CHECK(abs(pixel(&to, 0, 0)[0] - 25) <= 1);
    CHECK(abs(pixel(&to, 1, 1)[2] - 125) <= 1);
    ego_draw_image(&from, 0, 0, 4, 4, &(ego_image){2, 2, to.rgb}); /* and up again: smooth */
    for (int x = 1; x < 4; x++) CHECK(pixel(&from, x, 0)[0] >= pixel(&from, x - 1, 0)[0]);
    ego_image_free(&to);
    CHECK_OK(ego_image_new(37, 23, &to));
    memset(from.rgb, 77, 48);
    ego_draw_image(&to, 0, 0, 37, 23, &from); /* a flat picture stays flat */
    for (int i = 0; i < 37 * 23 * 3; i++) CHECK(to.rgb[i] == 77);
    ego_draw_image(&to, -10, -10, 3, 100, &from);
    ego_draw_image(&to, 0, 0, 0, 0, &from);
    ego_image_free(&from);
    ego_image_free(&to);
}

static void test_heat(void) {
    ego_image image = {0};
    CHECK_OK(ego_image_new(40, 20, &image));
    ego_draw_fill(&image, black);
    float map[2] = {0, 1};
    ego_draw_heat(&image, map, 2, 1, 1);
    CHECK(pixel(&image, 0, 10)[0] == 0 && pixel(&image, 39, 10)[0] > 240);
    float lightness = -1;
    for (int i = -1; i <= 21; i++) { /* ever lighter */
        ego_colour c = ego_heat_colour((float)i / 20);
        float now = 0.299f * c.r + 0.587f * c.g + 0.114f * c.b;
        CHECK(i < 1 || i > 20 ? now >= lightness : now > lightness);
        lightness = now;
    }
    ego_colour nothing = ego_heat_colour(NAN), least = ego_heat_colour(0);
    CHECK(memcmp(&nothing, &least, sizeof least) == 0);
    ego_draw_fill(&image, (ego_colour){200, 10, 10});
    ego_draw_pale(&image, 0);
    CHECK(pixel(&image, 5, 5)[0] == 200 && pixel(&image, 5, 5)[1] == 10);
    ego_draw_pale(&image, 1);
    CHECK(pixel(&image, 5, 5)[0] == pixel(&image, 5, 5)[1] && pixel(&image, 5, 5)[0] > 64);
    float odd[2] = {NAN, -3};
    ego_draw_fill(&image, white);
    ego_draw_heat(&image, odd, 2, 1, 1);
    CHECK(count_white(&image) == 800);
    ego_image_free(&image);
}

static void test_sheet(const char *folder) {
    ego_image frames[2] = {{0}}, sheet = {0};
    CHECK_OK(ego_image_new(320, 256, &frames[0]));
    CHECK_OK(ego_image_new(90, 120, &frames[1]));
    ego_draw_fill(&frames[0], white);
    ego_draw_fill(&frames[1], white);
    ego_sheet_row rows[] = {{"two frames of different sizes", frames, 2}, {"none", NULL, 0}};
    CHECK_OK(ego_sheet(rows, 2, 64, &sheet));
    CHECK(sheet.height >= 128 && sheet.width > 80 + 48);
    char path[200];
    snprintf(path, sizeof path, "%s/sheet.png", folder);
    CHECK_OK(ego_png_write(&sheet, path));
    png_image png = {.version = PNG_IMAGE_VERSION};
    CHECK(png_image_begin_read_from_file(&png, path));
    png.format = PNG_FORMAT_RGB;
    CHECK((int)png.width == sheet.width && (int)png.height == sheet.height);
    uint8_t *back = malloc(PNG_IMAGE_SIZE(png));
    CHECK(back && png_image_finish_read(&png, NULL, back, 0, NULL));
    CHECK(memcmp(back, sheet.rgb, PNG_IMAGE_SIZE(png)) == 0);
    free(back);
    unlink(path);
    CHECK_ERR(EGO_EIO, ego_png_write(&sheet, "/nowhere/at/all.png"));
    CHECK_ERR(EGO_EINPUT, ego_sheet(rows, 1, 0, &sheet));
    CHECK_ERR(EGO_EINPUT, ego_sheet(rows, 1, 20000, &sheet));
    ego_image_free(&frames[0]);
    ego_image_free(&frames[1]);
    ego_image_free(&sheet);
}

/* A grey that steps every frame: what is decoded must be what was encoded, in order. */
static void test_video(const char *folder) {
    char path[200];
    snprintf(path, sizeof path, "%s/steps.mp4", folder);
    ego_encode_options options = {
        .width = 64, .height = 48, .fps_num = 30, .fps_den = 1, .quality = 12};
    ego_encoder *encoder;
    ego_image image = {0};
    CHECK_OK(ego_image_new(64, 48, &image));
    if (!CHECK_OK(ego_encode_open(path, &options, &encoder))) return;
    for (int i = 0; i < 40; i++) {
        memset(image.rgb, 30 + 5 * i, 64 * 48 * 3);
        CHECK_OK(ego_encode_write(encoder, &image));
    }
    CHECK(access(path, F_OK) != 0); /* not before it is whole */
    CHECK_OK(ego_encode_close(encoder));
    ego_video *video;
    if (!CHECK_OK(ego_video_open(path, NULL, &video))) return;
    ego_video_info info;
    CHECK_OK(ego_video_get_info(video, &info));
    CHECK(info.width == 64 && info.height == 48 && info.frames == 40);
    CHECK_NEAR(info.fps, 30, 1e-6);
    for (int i = 0; i < 40; i += 3) {
        CHECK_OK(ego_video_frame_at(video, i / 30.0, &image));
        CHECK_NEAR(pixel(&image, 30, 20)[1], 30 + 5 * i, 3);
    }
    ego_video_close(video);
    unlink(path);
    ego_image_free(&image);
}

static void test_video_errors(const char *folder) {
    char path[200];
    snprintf(path, sizeof path, "%s/bad.mp4", folder);
    ego_encode_options options = {.width = 65, .height = 48, .fps_num = 30, .fps_den = 1};
    ego_encoder *encoder;
    CHECK_ERR(EGO_EINPUT, ego_encode_open(path, &options, &encoder));
    options.width = 64, options.fps_num = 0;
    CHECK_ERR(EGO_EINPUT, ego_encode_open(path, &options, &encoder));
    options.fps_num = 30;
    CHECK_ERR(EGO_EIO, ego_encode_open("/nowhere/at/all.mp4", &options, &encoder));
    if (!CHECK_OK(ego_encode_open(path, &options, &encoder))) return;
    ego_image wrong = {0};
    CHECK_OK(ego_image_new(32, 32, &wrong));
    CHECK_ERR(EGO_EINPUT, ego_encode_write(encoder, &wrong));
    CHECK_ERR(EGO_EINPUT, ego_encode_close(encoder)); /* no frames */
    CHECK(access(path, F_OK) != 0);
    CHECK_OK(ego_encode_open(path, &options, &encoder));
    ego_encode_abort(encoder);
    CHECK(access(path, F_OK) != 0);
    ego_encode_abort(NULL);
    ego_image_free(&wrong);
}

int main(void) {
    char folder[] = "/tmp/ego-picture-XXXXXX";
    if (!mkdtemp(folder)) return check_skip("no folder for temporary files");
    test_boxes();
    test_alphabet();
    test_text();
    test_paragraph();
    test_scaling();
    test_heat();
    test_sheet(folder);
    test_video(folder);
    test_video_errors(folder);
    CHECK(rmdir(folder) == 0); /* nothing was left behind */
    return check_done();
}
