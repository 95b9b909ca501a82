/* json.h - JSON to stdout, for commands that write it piece by piece. */
#ifndef LINN_CLI_JSON_H
#define LINN_CLI_JSON_H

#include "output.h"

/* Prints text[length] as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD;
 * control characters are escaped. */
void linn_cli_json_string(linn_cli_output *out, const char *text, size_t length);

#endif
