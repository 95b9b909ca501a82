/* fake_drafter.h - a statistical drafter that agrees with a fake level by chance: each of
 * its tokens is the level's with a given probability, independently. */
#ifndef LINN_TESTS_FAKE_DRAFTER_H
#define LINN_TESTS_FAKE_DRAFTER_H

#include "fake_level.h"

/* The level has fake_agreeing_law. */
linn_drafter *fake_drafter_create(const fake_level *level, double lean, int32_t n_ctx);

#endif
