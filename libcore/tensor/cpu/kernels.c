/* One source, compiled once per instruction set with EGO_ISA naming it (generic when absent). */
#include "tensor/cpu/kernels.h"

#include "tensor/cpu/attention.inc.h"
#include "tensor/cpu/attention_back.inc.h"
#include "tensor/cpu/outer.inc.h"
#include "tensor/cpu/product.inc.h"
#include "tensor/cpu/rows.inc.h"
#include "tensor/cpu/rows_back.inc.h"

#ifndef EGO_ISA
#define EGO_ISA generic
#endif
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

const ego__kernels JOIN(ego__kernels_, EGO_ISA) = {
    .name = TEXT(EGO_ISA),
    .tile_rows = TILE_ROWS,
    .k_block = K_BLOCK,
    .product_step = product_step,
    .strip_floats = strip_floats,
    .product = product,
    .outer = outer,
    .attention_scratch = attention_scratch,
    .attention = attention,
    .attention_back_scratch = attention_back_scratch,
    .attention_back = attention_back,
    .layer_norm = layer_norm,
    .softmax = softmax,
    .l2_normalize = l2_normalize,
    .activate = activate,
    .gated_add = gated_add,
    .scale = scale_to,
    .multiply = multiply,
    .layer_norm_back = layer_norm_back,
    .activate_back = activate_back,
    .dot = dot,
    .drop = drop_row,
    .sum_exp = sum_exp,
    .add_exp = add_exp,
};
