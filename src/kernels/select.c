/* select.c - which kernels run on this processor.
 *
 * An instruction set counts only when the operating system saves its registers
 * too (xgetbv): a processor may have what a kernel or hypervisor does not allow.
 */
#include "kernels/c/c.h"

#if defined(__x86_64__)
#include "kernels/avx2/avx2.h"
#include "kernels/avx512/avx512.h"

#include <cpuid.h>

static uint64_t enabled_state(void) /* XCR0 */
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

unsigned linn_cpu_features(void)
{
    enum { STATE_AVX = 0x06, STATE_AVX512 = 0xe6 };
    unsigned a, b, c, d, c7, features = LINN_CPU_C;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE))
        return features;
    uint64_t state = enabled_state();
    bool fma_f16c = (c & bit_AVX) && (c & bit_FMA) && (c & bit_F16C);
    if (!fma_f16c || (state & STATE_AVX) != STATE_AVX || !__get_cpuid_count(7, 0, &a, &b, &c7, &d))
        return features;
    if (b & bit_AVX2)
        features |= LINN_CPU_AVX2;
    unsigned wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    if ((features & LINN_CPU_AVX2) && (state & STATE_AVX512) == STATE_AVX512 &&
        (b & wide) == wide && (c7 & bit_AVX512VNNI))
        features |= LINN_CPU_AVX512;
    return features;
}

const linn_kernels *linn_kernels_select(unsigned mask)
{
    mask &= linn_cpu_features();
    if (mask & LINN_CPU_AVX512)
        return &linn_kernels_avx512;
    if (mask & LINN_CPU_AVX2)
        return &linn_kernels_avx2;
    return &linn_kernels_c;
}

#elif defined(__aarch64__)
#include "kernels/neon/neon.h"

#include <sys/auxv.h>

unsigned linn_cpu_features(void)
{
    enum { DOT_PRODUCTS = 1 << 20 }; /* HWCAP_ASIMDDP of the kernel's interface */
    return LINN_CPU_C | (getauxval(AT_HWCAP) & DOT_PRODUCTS ? LINN_CPU_NEON : 0);
}

const linn_kernels *linn_kernels_select(unsigned mask)
{
    if (mask & linn_cpu_features() & LINN_CPU_NEON)
        return &linn_kernels_neon;
    return &linn_kernels_c;
}

#else

unsigned linn_cpu_features(void)
{
    return LINN_CPU_C;
}

const linn_kernels *linn_kernels_select(unsigned mask)
{
    (void)mask;
    return &linn_kernels_c;
}

#endif
