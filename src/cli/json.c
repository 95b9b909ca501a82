/* json.c - see json.h. */
#include "json.h"

#include <string.h>

/* Length of the UTF-8 character at s[0..n), or 0 if there is none (RFC 3629). */
static size_t character(const unsigned char *s, size_t n)
{
    size_t length = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (length == 0 || length > n || s[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool surrogate = s[0] == 0xed && s[1] > 0x9f;
    bool too_large = s[0] == 0xf4 && s[1] > 0x8f;
    return overlong || surrogate || too_large ? 0 : length;
}

void linn_cli_json_string(linn_cli_output *out, const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;
    linn_cli_print(out, "\"");
    for (size_t i = 0, n; i < length; i += n ? n : 1) {
        n = character(s + i, length - i);
        if (n == 0)
            linn_cli_print(out, "\\ufffd");
        else if (s[i] == '"' || s[i] == '\\')
            linn_cli_print(out, "\\%c", s[i]);
        else if (s[i] == '\n')
            linn_cli_print(out, "\\n");
        else if (s[i] < 0x20 || s[i] == 0x7f)
            linn_cli_print(out, "\\u%04x", s[i]);
        else if (s[i] == 0xc2 && s[i + 1] < 0xa0) /* U+0080 to U+009F, controls too */
            linn_cli_print(out, "\\u%04x", s[i + 1]);
        else if (n == 3 && s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8)
            linn_cli_print(out, "\\u%04x", 0x2000 + (s[i + 2] & 0x3f)); /* line separators */
        else
            linn_cli_write(out, s + i, n);
    }
    linn_cli_print(out, "\"");
}
