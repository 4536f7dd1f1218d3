#include "http/body.h"

#include "http/token.h"

#include <errno.h>
#include <stdio.h>

/* The state of the decoder: the part that may come next. The order matters, because bytes from
 * EXT_BWS to EXT_VALUE_END are charged to the extensions, and bytes from TRAILER to TRAILER_END_LF
 * to the trailers.
 *
 *   size [ext] CRLF data CRLF … 0 [ext] CRLF trailers CRLF */
enum state {
    SIZE,
    EXT_BWS,        /* white space before ';' */
    EXT_NAME_START, /* behind ';' */
    EXT_NAME,
    EXT_NAME_BWS,    /* white space behind a name, before '=' or ';' */
    EXT_VALUE_START, /* behind '=' */
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF,
    END,
    BROKEN,
};

enum { SIZE_DIGITS_MAX = 16 };

int http_chunked_error_status(int result)
{
    return result == HTTP_CHUNKED_E_TRAILERS ? 431 : 400;
}

struct str http_chunked_error_detail(int result)
{
    switch (result) {
    case HTTP_CHUNKED_E_SIZE:
        return STR("A chunk size is not 1 to 16 hexadecimal digits.");
    case HTTP_CHUNKED_E_OVERFLOW:
        return STR("A chunk size is too large to be meant.");
    case HTTP_CHUNKED_E_EXTENSION:
        return STR("A chunk extension is not written as ;name or ;name=value.");
    case HTTP_CHUNKED_E_EXTENSIONS:
        return STR("The chunk extensions are too large.");
    case HTTP_CHUNKED_E_LINE_END:
        return STR("A chunk size, chunk or trailer is not followed by CRLF.");
    case HTTP_CHUNKED_E_TRAILER:
        return STR("A trailer line is not a token, a colon right behind it, and a value.");
    case HTTP_CHUNKED_E_TRAILERS:
        return STR("The trailer section is too large.");
    default:
        return STR("The body is not chunked as HTTP/1.1 wants it.");
    }
}

/* Each step_…() takes one byte, sets the next state, and returns 0 or an error. */

static int go(struct http_chunked *chunked, enum state state)
{
    chunked->state = (uint8_t)state;
    return 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static int step_size(struct http_chunked *chunked, char c)
{
    int digit = http_hex(c);
    if (digit >= 0) {
        if (chunked->left >> 59)
            return HTTP_CHUNKED_E_OVERFLOW;
        if (++chunked->digits > SIZE_DIGITS_MAX)
            return HTTP_CHUNKED_E_SIZE;
        chunked->left = chunked->left << 4 | (unsigned)digit;
        return 0;
    }
    if (!chunked->digits)
        return HTTP_CHUNKED_E_SIZE;
    if (c == '\r')
        return go(chunked, SIZE_LF);
    if (c == '\n')
        return HTTP_CHUNKED_E_LINE_END;
    if (c == ';')
        return go(chunked, EXT_NAME_START);
    return is_space(c) ? go(chunked, EXT_BWS) : HTTP_CHUNKED_E_SIZE;
}

/* Behind a whole extension: another extension, or the end of the line. */
static int step_ext_end(struct http_chunked *chunked, char c)
{
    if (c == ';')
        return go(chunked, EXT_NAME_START);
    if (c == '\r')
        return go(chunked, SIZE_LF);
    return is_space(c) ? go(chunked, EXT_BWS) : HTTP_CHUNKED_E_EXTENSION;
}

static int step_ext_name(struct http_chunked *chunked, char c)
{
    bool token = http_char_is(c, HTTP_CHAR_TOKEN);
    switch (chunked->state) {
    case EXT_BWS:
        if (c == ';')
            return go(chunked, EXT_NAME_START);
        return is_space(c) ? 0 : HTTP_CHUNKED_E_EXTENSION;
    case EXT_NAME_START:
        if (token)
            return go(chunked, EXT_NAME);
        return is_space(c) ? 0 : HTTP_CHUNKED_E_EXTENSION;
    case EXT_NAME:
        if (token)
            return 0;
        if (c == '=')
            return go(chunked, EXT_VALUE_START);
        return is_space(c) ? go(chunked, EXT_NAME_BWS) : step_ext_end(chunked, c);
    default: /* EXT_NAME_BWS */
        if (c == '=')
            return go(chunked, EXT_VALUE_START);
        if (c == ';')
            return go(chunked, EXT_NAME_START);
        return is_space(c) ? 0 : HTTP_CHUNKED_E_EXTENSION;
    }
}

static int step_ext_value(struct http_chunked *chunked, char c)
{
    bool token = http_char_is(c, HTTP_CHAR_TOKEN);
    switch (chunked->state) {
    case EXT_VALUE_START:
        if (token || c == '"')
            return go(chunked, token ? EXT_VALUE : EXT_QUOTED);
        return is_space(c) ? 0 : HTTP_CHUNKED_E_EXTENSION;
    case EXT_VALUE:
        return token ? 0 : step_ext_end(chunked, c);
    case EXT_QUOTED:
        if (c == '"' || c == '\\')
            return go(chunked, c == '"' ? EXT_QUOTED_END : EXT_ESCAPED);
        return http_char_is(c, HTTP_CHAR_QDTEXT) ? 0 : HTTP_CHUNKED_E_EXTENSION;
    case EXT_ESCAPED:
        if (http_char_is(c, HTTP_CHAR_VALUE))
            return go(chunked, EXT_QUOTED);
        return HTTP_CHUNKED_E_EXTENSION;
    default: /* EXT_QUOTED_END */
        return step_ext_end(chunked, c);
    }
}

static int step_line_end(struct http_chunked *chunked, char c)
{
    bool last = chunked->left == 0;
    switch (chunked->state) {
    case SIZE_LF:
        if (last)
            chunked->spent = 0; /* from here on, count the trailers */
        return c == '\n' ? go(chunked, last ? TRAILER : DATA) : HTTP_CHUNKED_E_LINE_END;
    case DATA_CR:
        return c == '\r' ? go(chunked, DATA_LF) : HTTP_CHUNKED_E_LINE_END;
    default: /* DATA_LF */
        chunked->digits = 0;
        return c == '\n' ? go(chunked, SIZE) : HTTP_CHUNKED_E_LINE_END;
    }
}

static int step_trailer(struct http_chunked *chunked, char c)
{
    bool token = http_char_is(c, HTTP_CHAR_TOKEN);
    switch (chunked->state) {
    case TRAILER:
        if (c == '\r')
            return go(chunked, TRAILER_END_LF);
        return token ? go(chunked, TRAILER_NAME) : HTTP_CHUNKED_E_TRAILER;
    case TRAILER_NAME:
        if (c == ':')
            return go(chunked, TRAILER_VALUE);
        return token ? 0 : HTTP_CHUNKED_E_TRAILER;
    case TRAILER_VALUE:
        if (c == '\r')
            return go(chunked, TRAILER_LF);
        return http_char_is(c, HTTP_CHAR_VALUE) ? 0 : HTTP_CHUNKED_E_TRAILER;
    case TRAILER_LF:
        return c == '\n' ? go(chunked, TRAILER) : HTTP_CHUNKED_E_LINE_END;
    default: /* TRAILER_END_LF */
        return c == '\n' ? go(chunked, END) : HTTP_CHUNKED_E_LINE_END;
    }
}

/* Reports a bare LF as a bad line end, whichever part was due in its place. */
static int line_end_error(int error, char c)
{
    return error && c == '\n' ? HTTP_CHUNKED_E_LINE_END : error;
}

static int step(struct http_chunked *chunked, const struct http_limits *limits, char c)
{
    enum state state = chunked->state;
    if (state == SIZE)
        return step_size(chunked, c);
    if (state >= EXT_BWS && state <= EXT_QUOTED_END) {
        int error =
            state < EXT_VALUE_START ? step_ext_name(chunked, c) : step_ext_value(chunked, c);
        if (error)
            return line_end_error(error, c);
        return ++chunked->spent > limits->chunk_ext_max ? HTTP_CHUNKED_E_EXTENSIONS : 0;
    }
    if (state < TRAILER)
        return step_line_end(chunked, c);
    if (++chunked->spent > limits->trailer_max)
        return HTTP_CHUNKED_E_TRAILERS;
    return line_end_error(step_trailer(chunked, c), c);
}

/* Hands out the bytes of the current chunk that have come. */
static int take_data(struct http_chunked *chunked, struct str *bytes, struct str *ret_data)
{
    size_t len = bytes->len < chunked->left ? bytes->len : (size_t)chunked->left;
    *ret_data = (struct str){bytes->at, len};
    *bytes = str_skip(*bytes, len);
    chunked->decoded += len;
    chunked->left -= len;
    if (!chunked->left)
        chunked->state = DATA_CR;
    return HTTP_CHUNKED_DATA;
}

int http_chunked_feed(struct http_chunked *chunked, const struct http_limits *limits,
                      struct str *bytes, struct str *ret_data)
{
    while (bytes->len && chunked->state < END) {
        if (chunked->state == DATA)
            return take_data(chunked, bytes, ret_data);
        int error = step(chunked, limits, bytes->at[0]);
        if (error) {
            chunked->state = BROKEN;
            chunked->error = (uint8_t)error;
        } else {
            *bytes = str_skip(*bytes, 1);
        }
    }
    if (chunked->state == BROKEN)
        return chunked->error;
    return chunked->state == END ? HTTP_CHUNKED_END : -EAGAIN;
}

void http_chunk_add(struct buf *buf, struct str data)
{
    if (!data.len)
        return;
    buf_add_hex(buf, data.len);
    buf_add_lit(buf, "\r\n");
    buf_add_str(buf, data);
    buf_add_lit(buf, "\r\n");
}

/* Always eight digits: the grammar allows leading zeroes, and moving the data to save them would
 * cost more. */
enum { OPEN_DIGITS = 8, OPEN_LEN = OPEN_DIGITS + 2 };

size_t http_chunk_open(struct buf *buf)
{
    size_t opened = buf->len;
    buf_add_lit(buf, "00000000\r\n");
    return opened;
}

void http_chunk_close(struct buf *buf, size_t opened)
{
    static const char digits[] = "0123456789abcdef";
    if (buf_failed(buf))
        return;
    size_t size = buf->len - opened - OPEN_LEN;
    if (!size) {
        buf->len = opened;
        return;
    }
    if (size > UINT32_MAX) {
        buf->failed = true;
        return;
    }
    for (size_t i = OPEN_DIGITS; i-- > 0; size >>= 4)
        buf->at[opened + i] = digits[size & 15];
    buf_add_lit(buf, "\r\n");
}

void http_chunk_end(struct buf *buf)
{
    buf_add_lit(buf, "0\r\n\r\n");
}
