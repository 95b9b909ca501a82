/* utf8.c - see utf8.h. */
#include "base/utf8.h"

/* Length that a lead byte announces (0: not a lead byte), and the range its
 * second byte must lie in, which is what excludes overlong forms, surrogates
 * and values above U+10FFFF (RFC 3629, section 4). */
static size_t lead(uint8_t b, uint8_t *low, uint8_t *high)
{
    *low = 0x80;
    *high = 0xbf;
    if (b < 0x80)
        return 1;
    if (b >= 0xc2 && b <= 0xdf)
        return 2;
    if (b >= 0xe0 && b <= 0xef) {
        if (b == 0xe0)
            *low = 0xa0;
        if (b == 0xed)
            *high = 0x9f;
        return 3;
    }
    if (b >= 0xf0 && b <= 0xf4) {
        if (b == 0xf0)
            *low = 0x90;
        if (b == 0xf4)
            *high = 0x8f;
        return 4;
    }
    return 0;
}

size_t linn_utf8_decode(const char *s, size_t n, uint32_t *code_point)
{
    if (n == 0)
        return 0;
    const uint8_t *b = (const uint8_t *)s;
    uint8_t low, high;
    size_t length = lead(b[0], &low, &high);
    if (length == 0 || length > n)
        return 0;
    if (length == 1) {
        *code_point = b[0];
        return 1;
    }
    if (b[1] < low || b[1] > high)
        return 0;
    uint32_t c = (uint32_t)(b[0] & (0x7f >> length)) << 6 | (b[1] & 0x3f);
    for (size_t i = 2; i < length; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (b[i] & 0x3f);
    }
    *code_point = c;
    return length;
}

size_t linn_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t linn_utf8_check(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint32_t c;
        size_t length = linn_utf8_decode(s + i, n - i, &c);
        if (length == 0)
            break;
        i += length;
    }
    return i;
}

size_t linn_utf8_incomplete(const char *s, size_t n)
{
    const uint8_t *b = (const uint8_t *)s;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        uint8_t low, high;
        size_t length = lead(b[n - back], &low, &high);
        if (length == 0) {
            if ((b[n - back] & 0xc0) != 0x80)
                return 0; /* a byte that never occurs */
            continue;
        }
        if (length <= back)
            return 0;
        if (back >= 2 && (b[n - back + 1] < low || b[n - back + 1] > high))
            return 0;
        return back;
    }
    return 0;
}
