/* The small grammar that all header fields are made of: tokens, lists, parameters, quoted strings
 * (RFC 9110 section 5.6). */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Classes of bytes; bits of http_char_class[]. */
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

/* The number of bytes at the front of `s` that are of the class VALUE, or TARGET. Sixteen at a time
 * where the machine can: they are most of a head. */
size_t http_value_len(struct str s);
size_t http_target_len(struct str s);

/* The same for the class TOKEN, one byte at a time. */
size_t http_token_len(struct str s);

/* Whether `s` is at least one byte long and all its bytes are of the class. */
bool http_all(struct str s, int class);

/* The value of a hexadecimal digit, -1 for any other character. */
int http_hex(char c);

/* Takes the next element of a comma-separated list off the front of `*rest`, trimmed. Commas
 * between double quotes do not separate, and empty elements are skipped (RFC 9110 section 5.6.1.2).
 * Returns false at the end. `*rest` begins as the whole value. */
bool http_list_next(struct str *rest, struct str *ret_element);

/* Takes `name=value`, or a name alone, off the front of `*rest`; white space around '=' is skipped.
 * The value is a token, or a quoted string without its quotes but with its backslashes; STR_NONE
 * without '='. Returns 0, or -EINVAL if `*rest` begins with anything else. */
int http_pair(struct str *rest, struct str *ret_name, struct str *ret_value);

/* Takes `; name=value` off the front of `*rest`, which begins behind the value that has the
 * parameters. White space around ';' and '=' is skipped, and so are empty parameters. Returns 1
 * with name and value as http_pair() does, 0 at the end, -EINVAL if the rest is no parameter
 * list. */
int http_param_next(struct str *rest, struct str *ret_name, struct str *ret_value);

/* Reads 1*DIGIT. Returns 0, -EINVAL if `s` is anything else, -ERANGE if the number does not fit. */
int http_number(struct str s, uint64_t *ret);
