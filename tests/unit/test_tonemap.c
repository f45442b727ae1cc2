/* HDR to SDR against the levels that ITU-R BT.2408 names. */
#include "check.h"
#include "media/tonemap.h"

#include <math.h>

static void map_one(ego_transfer transfer, double r, double g, double b, uint8_t out[3]) {
    ego_tonemap *map = NULL;
    const double signal[3] = {r, g, b};
    uint16_t in[3];
    for (int i = 0; i < 3; i++) in[i] = (uint16_t)lround(signal[i] * 65535);
    if (!CHECK_OK(ego_tonemap_new(transfer, &map))) return;
    CHECK(ego_tonemap_transfer(map) == transfer);
    ego_tonemap_row(map, in, 1, out);
    ego_tonemap_free(map);
}

static int grey(ego_transfer transfer, double signal) {
    uint8_t out[3] = {0};
    map_one(transfer, signal, signal, signal, out);
    CHECK(abs(out[0] - out[1]) <= 1 && abs(out[1] - out[2]) <= 1);
    return out[1];
}

/* What the rolled off light `m` (1 is reference white) is as a signal. */
static double wanted(double m) {
    double rolled = m <= 0.6 ? m : 0.6 + 0.4 * (1 - exp((0.6 - m) / 0.4));
    return 255 * pow(rolled, 1 / 2.4);
}

static void levels(void) {
    /* Reference white: 75 % of HLG, 58 % of PQ. 18 % grey: 38 % of both, 26 cd/m2 (rounded there). */
    CHECK_NEAR(grey(EGO_TRANSFER_HLG, 0.75), wanted(1), 1.5);
    CHECK_NEAR(grey(EGO_TRANSFER_PQ, 0.58), wanted(1), 1.5);
    CHECK_NEAR(grey(EGO_TRANSFER_HLG, 0.38), wanted(26.0 / 203), 3);
    CHECK_NEAR(grey(EGO_TRANSFER_PQ, 0.38), wanted(26.0 / 203), 3);
    CHECK_NEAR(grey(EGO_TRANSFER_HLG, 1), wanted(1000 / 203.0), 1);
    CHECK_NEAR(grey(EGO_TRANSFER_PQ, 1), 255, 0);
    for (int t = EGO_TRANSFER_GAMMA; t <= EGO_TRANSFER_PQ; t++) CHECK(grey((ego_transfer)t, 0) == 0);
}

static void more_is_more(void) {
    for (int t = EGO_TRANSFER_GAMMA; t <= EGO_TRANSFER_PQ; t++) {
        int last = 0;
        for (int i = 0; i <= 1000; i++) {
            int now = grey((ego_transfer)t, i / 1000.0);
            CHECK(now >= last);
            last = now;
        }
    }
}

/* BT.2020 in SDR: greys stay, BT.709's red keeps its hue, colours outside are cut. */
static void colours(void) {
    uint8_t out[3];
    for (int i = 0; i <= 255; i += 5) CHECK_NEAR(grey(EGO_TRANSFER_GAMMA, i / 255.0), i, 1);
    map_one(EGO_TRANSFER_GAMMA, pow(0.6274, 1 / 2.4), pow(0.0691, 1 / 2.4), pow(0.0164, 1 / 2.4), out);
    CHECK(out[0] >= 254 && out[1] <= 8 && out[2] <= 8);
    map_one(EGO_TRANSFER_GAMMA, 0, 1, 0, out);
    CHECK(out[0] == 0 && out[1] == 255 && out[2] == 0);
    map_one(EGO_TRANSFER_HLG, 0.8, 0.4, 0.4, out);
    CHECK(out[0] > out[1] && out[0] > out[2]);
}

/* In place, and each pixel by itself. */
static void in_place(void) {
    uint16_t row[3 * 50];
    uint8_t apart[3 * 50];
    ego_tonemap *map = NULL;
    for (int i = 0; i < 150; i++) row[i] = (uint16_t)(i * 431);
    if (!CHECK_OK(ego_tonemap_new(EGO_TRANSFER_HLG, &map))) return;
    ego_tonemap_row(map, row, 50, apart);
    ego_tonemap_row(map, row, 50, (uint8_t *)row);
    CHECK(memcmp(row, apart, sizeof apart) == 0);
    ego_tonemap_free(map);
}

int main(void) {
    levels();
    more_is_more();
    colours();
    in_place();
    return check_done();
}
