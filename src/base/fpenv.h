/* fpenv.h - the floating-point environment that the numeric contract asks for.
 *
 * Every entry into numeric code sets round-to-nearest-even with subnormals kept
 * (no FTZ, no DAZ) and puts the caller's mode back afterwards; so does every
 * member of a thread team, since threads inherit the mode of their maker.
 */
#ifndef LINN_BASE_FPENV_H
#define LINN_BASE_FPENV_H

#include <stdint.h>

#if defined(__x86_64__)
typedef uint32_t linn_fpenv;
static inline linn_fpenv linn_fpenv_enter(void)
{
    uint32_t saved = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(0x1f80); /* all exceptions masked, nearest even, no FTZ, no DAZ */
    return saved;
}
static inline void linn_fpenv_leave(linn_fpenv saved)
{
    __builtin_ia32_ldmxcsr(saved);
}
#elif defined(__aarch64__)
typedef uint64_t linn_fpenv;
static inline linn_fpenv linn_fpenv_enter(void)
{
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)0));
    return saved;
}
static inline void linn_fpenv_leave(linn_fpenv saved)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}
#else
#include <fenv.h>
typedef int linn_fpenv;
static inline linn_fpenv linn_fpenv_enter(void)
{
    int saved = fegetround();
    fesetround(FE_TONEAREST);
    return saved;
}
static inline void linn_fpenv_leave(linn_fpenv saved)
{
    fesetround(saved);
}
#endif

#endif
