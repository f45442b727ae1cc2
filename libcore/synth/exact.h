/* Included by every file that computes in doubles what ends up in a pixel or an annotation: the same
 * bits on every machine need each product and sum rounded on its own, never fused. GCC does so under
 * -std=c11; Clang is told here. */
#ifndef EGO_SYNTH_EXACT_H
#define EGO_SYNTH_EXACT_H

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#endif
