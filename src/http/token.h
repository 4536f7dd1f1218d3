/* The small grammar that all header fields are made of: tokens, lists, parameters, quoted strings
 * (RFC 9110 section 5.6). */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* What a byte may be part of; bits of http_char_class[]. */
enum {
    HTTP_CHAR_TOKEN = 1,  /* tchar: names, methods, tokens */
    HTTP_CHAR_VALUE = 2,  /* a field value: visible, obs-text, SP, HTAB; no control characters */
    HTTP_CHAR_TARGET = 4, /* a request target: visible ASCII but '#' */
    HTTP_CHAR_QDTEXT = 8, /* between quotes, unescaped */
    HTTP_CHAR_HOST = 16,  /* a registered name: unreserved */
    HTTP_CHAR_HEX = 32,   /* a hexadecimal digit */
    HTTP_CHAR_DIGIT = 64,
};

extern const unsigned char http_char_class[256];

static inline bool http_char_is(char c, int class)
{
    return (http_char_class[(unsigned char)c] & class) != 0;
}

/* Whether `s` is at least one byte long and all its bytes are of the class. */
bool http_all(struct str s, int class);

/* The value of a hexadecimal digit, -1 when it is none. */
int http_hex(char c);

/* Takes the next element of a comma-separated list off the front of `*rest`, trimmed; commas
 * between double quotes do not separate, and empty elements are passed over (RFC 9110 section
 * 5.6.1.2). False at the end. `*rest` begins as the whole value. */
bool http_list_next(struct str *rest, struct str *ret_element);

/* Takes `name=value`, or a name alone, off the front of `*rest`; white space around '=' is passed
 * over. The value is a token or a quoted string, then without its quotes but with its backslashes;
 * STR_NONE without '='. 0, or -EINVAL when `*rest` begins with anything else. */
int http_pair(struct str *rest, struct str *ret_name, struct str *ret_value);

/* Takes `; name=value` off the front of `*rest`, which begins behind what the parameters belong to.
 * White space around ';' and '=' is passed over, and so are empty parameters. 1 with name and
 * value as http_pair() gives them, 0 at the end, -EINVAL when the rest is no parameter list. */
int http_param_next(struct str *rest, struct str *ret_name, struct str *ret_value);

/* Reads 1*DIGIT. 0, -EINVAL when `s` is anything else, -ERANGE when it does not fit. */
int http_number(struct str s, uint64_t *ret);
