/* Included by every file that computes in doubles what ends up in a pixel or an annotation: the same
 * bits on every machine need each product and sum rounded on its own, never fused, whatever instruction
 * set the compiler was told to use. */
#ifndef EGO_SYNTH_EXACT_H
#define EGO_SYNTH_EXACT_H

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#endif

#endif
