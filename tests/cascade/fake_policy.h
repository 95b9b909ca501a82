/* fake_policy.h - a policy that decides at random: no decision may change a text. */
#ifndef LINN_TESTS_FAKE_POLICY_H
#define LINN_TESTS_FAKE_POLICY_H

#include "cascade/cascade.h"

/* Takes the place of the cascade's policy; its K matrix is open. */
void fake_policy_install(linn_cascade *c, uint64_t seed);

#endif
