/* tree.h - the fixed order in which 8 partial sums become one. */
#ifndef LINN_KERNELS_C_TREE_H
#define LINN_KERNELS_C_TREE_H

static inline float linn_tree8(const float l[8])
{
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

#endif
