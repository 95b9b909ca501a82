/* backend.c - the table of the CPU back end. */
#include "model/cpu/cpu.h"

static uint64_t weight_bytes(const linn_weights *w)
{
    return w->bytes;
}

const linn_backend linn_backend_cpu = {
    .name = "cpu",
    .load = linn_cpu_load,
    .unload = linn_cpu_unload,
    .weight_bytes = weight_bytes,
    .store_create = linn_cpu_store_create,
    .store_free = linn_cpu_store_free,
    .store_copy = linn_cpu_store_copy,
    .workspace_create = linn_cpu_workspace_create,
    .workspace_free = linn_cpu_workspace_free,
    .forward = linn_cpu_forward,
};
