/* HDR to SDR: pictures of HLG and PQ video (phones, GoPro's HLG) as a screen of the usual kind shows them.
 *
 * Without it they look pale and their colours weak, as no picture that a model was trained on.
 *
 *   1. The signal to light, in units of reference white (203 cd/m2, ITU-R BT.2408): HLG by the inverse
 *      OETF of BT.2100 and the display of 1000 cd/m2 (OOTF: each times Y^0.2); PQ by its EOTF; SDR with
 *      BT.2020's colours by the power 2.4 of BT.1886.
 *   2. Tones: up to 0.6 of white the light stays; the rest is rolled off towards 1 as
 *      0.6 + 0.4 (1 - exp(-(m - 0.6) / 0.4)), m the greatest of R, G and B, and the three are scaled
 *      together: hues stay.
 *   3. BT.2020's primaries to BT.709's; what is outside is cut to 0.
 *   4. Light to signal by the power 1 / 2.4, in 8 bits.
 *
 * Rows depend on themselves only. Nothing here knows libav.
 */
#ifndef EGO_MEDIA_TONEMAP_H
#define EGO_MEDIA_TONEMAP_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

typedef enum ego_transfer {
    EGO_TRANSFER_GAMMA, /* BT.1886 */
    EGO_TRANSFER_HLG,   /* ARIB STD-B67 */
    EGO_TRANSFER_PQ     /* SMPTE ST 2084 */
} ego_transfer;

typedef struct ego_tonemap ego_tonemap;

ego_err ego_tonemap_new(ego_transfer transfer, ego_tonemap **map);
void ego_tonemap_free(ego_tonemap *map); /* takes NULL */
ego_transfer ego_tonemap_transfer(const ego_tonemap *map);

/* n pixels of 16-bit R'G'B' (full range, BT.2020's primaries) to 8-bit R'G'B' of BT.709. `to` may be where
 * `from` is. */
void ego_tonemap_row(const ego_tonemap *map, const uint16_t *from, size_t n, uint8_t *to);

#endif
