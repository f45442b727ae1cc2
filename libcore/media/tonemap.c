#include "media/tonemap.h"

#include <math.h>
#include <stdlib.h>

enum { STEPS = 4096, OUT_STEPS = 4096 };
static const double WHITE = 203, HLG_PEAK = 1000, PQ_PEAK = 10000; /* cd/m2 */
static const float KNEE = 0.6F;

struct ego_tonemap {
    ego_transfer transfer;
    float light[STEPS + 1];      /* of a signal of i / STEPS */
    uint8_t signal[OUT_STEPS + 1]; /* of the square root of light, i / OUT_STEPS: dark tones are finer */
};

/* Of BT.2100; HLG's is scene light from 0 to 1, the others' display light. */
static double hlg_light(double v) {
    const double a = 0.17883277, b = 1 - 4 * a, c = 0.5 - a * log(4 * a);
    return v <= 0.5 ? v * v / 3 : (exp((v - c) / a) + b) / 12;
}

static double pq_light(double v) {
    const double m1 = 2610.0 / 16384, m2 = 2523.0 / 4096 * 128;
    const double c1 = 3424.0 / 4096, c2 = 2413.0 / 4096 * 32, c3 = 2392.0 / 4096 * 32;
    double p = pow(v, 1 / m2);
    return pow(fmax(p - c1, 0) / (c2 - c3 * p), 1 / m1);
}

static double light_of(ego_transfer transfer, double v) {
    switch (transfer) {
    case EGO_TRANSFER_HLG: return hlg_light(v);
    case EGO_TRANSFER_PQ: return pq_light(v) * PQ_PEAK / WHITE;
    default: return pow(v, 2.4);
    }
}

ego_err ego_tonemap_new(ego_transfer transfer, ego_tonemap **out) {
    ego_tonemap *map = malloc(sizeof *map);
    if (!map) return ego_fail(EGO_ENOMEM, "out of memory for a tone map");
    map->transfer = transfer;
    for (int i = 0; i <= STEPS; i++) map->light[i] = (float)light_of(transfer, (double)i / STEPS);
    for (int i = 0; i <= OUT_STEPS; i++)
        map->signal[i] = (uint8_t)lround(255 * pow((double)i / OUT_STEPS, 2 / 2.4));
    *out = map;
    return EGO_OK;
}

void ego_tonemap_free(ego_tonemap *map) { free(map); }
ego_transfer ego_tonemap_transfer(const ego_tonemap *map) { return map->transfer; }

/* Between two entries of the table. */
static float light(const ego_tonemap *map, uint16_t signal) {
    float at = (float)signal * ((float)STEPS / 65535);
    int i = (int)at;
    if (i >= STEPS) return map->light[STEPS];
    return map->light[i] + (at - (float)i) * (map->light[i + 1] - map->light[i]);
}

static uint8_t signal(const ego_tonemap *map, float light) {
    if (!(light > 0)) return 0;
    return map->signal[light >= 1 ? OUT_STEPS : (int)(sqrtf(light) * OUT_STEPS + 0.5F)];
}

/* What R, G and B are multiplied by. */
static float tone(float most) {
    if (most <= KNEE) return 1;
    return (KNEE + (1 - KNEE) * (1 - expf((KNEE - most) / (1 - KNEE)))) / most;
}

void ego_tonemap_row(const ego_tonemap *map, const uint16_t *from, size_t n, uint8_t *to) {
    float peak = (float)(HLG_PEAK / WHITE);
    for (size_t i = 0; i < n; i++, from += 3, to += 3) {
        float r = light(map, from[0]), g = light(map, from[1]), b = light(map, from[2]);
        float scale = 1;
        if (map->transfer == EGO_TRANSFER_HLG)
            scale = peak * powf(0.2627F * r + 0.6780F * g + 0.0593F * b, 0.2F);
        float most = fmaxf(r, fmaxf(g, b)) * scale;
        /* SDR light has no more than white to begin with. */
        if (map->transfer != EGO_TRANSFER_GAMMA) scale *= tone(most);
        r *= scale;
        g *= scale;
        b *= scale;
        to[0] = signal(map, 1.660491F * r - 0.587641F * g - 0.072850F * b);
        to[1] = signal(map, -0.124550F * r + 1.132900F * g - 0.008349F * b);
        to[2] = signal(map, -0.018151F * r - 0.100579F * g + 1.118730F * b);
    }
}
