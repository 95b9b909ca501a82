/* engine.h - what an engine holds: the team of threads and the kernel table. */
#ifndef LINN_MODEL_ENGINE_H
#define LINN_MODEL_ENGINE_H

#include "base/pool.h"
#include "kernels/kernels.h"
#include "linn.h"

struct linn_engine {
    linn_pool *pool;
    const linn_kernels *kernels;
};

#endif
