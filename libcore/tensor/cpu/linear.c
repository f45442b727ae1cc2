/* Products: y = act(x Wᵀ + b) + residual, and x yᵀ of activations. */
#include "tensor/cpu/cpu.h"
#include "tensor/panel.h"

ego_err ego__cpu_linear(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_tensor *x = call->in[0], *residual = call->in[1];
    ego_param *w = call->param[0], *b = call->param[1];
    const float *panels = NULL, *bias = NULL;
    EGO_TRY(ego__cpu_panels(cpu, w, &panels));
    if (b) EGO_TRY(ego__cpu_floats(cpu, b, &bias));
    int64_t first = call->as.linear.first, columns = ego_tensor_columns(call->out);
    int64_t inputs = ego_tensor_columns(x);
    return ego__cpu_run_product(
        cpu, &(ego__product){.rows = ego_tensor_rows(x),
                             .k = inputs,
                             .a = x->data,
                             .a_stride = inputs,
                             .panels = panels,
                             .c = ego_f32(call->out) - first,
                             .c_stride = columns,
                             .first = first,
                             .last = first + columns,
                             .bias = bias,
                             .residual = residual ? ego_f32(residual) - first : NULL,
                             .residual_stride = columns,
                             .act = call->as.linear.act});
}

enum { PANELS_AT_ONCE = 4 };

typedef struct packing {
    const ego_tensor *y;
    float *panels;
} packing;

static void pack_some(void *context, size_t i, unsigned worker) {
    (void)worker;
    const packing *p = context;
    int64_t rows = ego_tensor_rows(p->y), k = ego_tensor_columns(p->y);
    int64_t first = (int64_t)i * PANELS_AT_ONCE, count = ego_panel_count(rows) - first;
    ego_panel_pack(p->y->data, EGO_F32, rows, k, first,
                   count < PANELS_AT_ONCE ? count : PANELS_AT_ONCE,
                   p->panels + first * k * EGO_PANEL);
}

ego_err ego__cpu_product(ego_backend *backend, const ego_call *call) {
    ego__cpu *cpu = (ego__cpu *)backend;
    const ego_tensor *x = call->in[0], *y = call->in[1];
    int64_t columns = ego_tensor_rows(y), k = ego_tensor_columns(x),
            panels = ego_panel_count(columns);
    float *packed;
    EGO_TRY(ego__cpu_reserve_shared(cpu, panels * EGO_PANEL * k, &packed));
    ego_parallel(cpu->base.pool, (size_t)((panels + PANELS_AT_ONCE - 1) / PANELS_AT_ONCE), pack_some,
                 &(packing){y, packed});
    return ego__cpu_run_product(cpu, &(ego__product){.rows = ego_tensor_rows(x),
                                                  .k = k,
                                                  .a = ego_f32(x),
                                                  .a_stride = k,
                                                  .panels = packed,
                                                  .c = ego_f32(call->out),
                                                  .c_stride = columns,
                                                  .last = columns});
}
