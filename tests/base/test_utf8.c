/* UTF-8: every code point goes round; every wrong form of RFC 3629 is refused. */
#include "test.h"
#include "base/utf8.h"

static void round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        char s[4];
        size_t n = linn_utf8_encode(c, s);
        uint32_t back = 0;
        assert_int_equal(linn_utf8_decode(s, n, &back), n);
        assert_int_equal(back, c);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(linn_utf8_decode(s, cut, &back), 0);
            assert_int_equal(linn_utf8_incomplete(s, cut), cut);
        }
        assert_int_equal(linn_utf8_incomplete(s, n), 0);
    }
}

static void wrong(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x80",
                                      "\xbf",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xc3(",
                                      "\xe2\x82(",
                                      "\xf0\x9f\x98("};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint32_t c;
        assert_int_equal(linn_utf8_decode(bad[i], strlen(bad[i]), &c), 0);
        assert_int_equal(linn_utf8_check(bad[i], strlen(bad[i])), 0);
    }
    assert_int_equal(linn_utf8_check("ab\xff", 3), 2);
    assert_int_equal(linn_utf8_incomplete("\xff", 1), 0);
    assert_int_equal(linn_utf8_incomplete("\xed\xa0", 2), 0);
    assert_int_equal(linn_utf8_incomplete("", 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
