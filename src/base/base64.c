#include "base/base64.h"

#include <errno.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char digits[] = LETTERS "+/";
static const char url_digits[] = LETTERS "-_";

/* The value of each digit of both alphabets, plus one; 0 for a character that is no digit. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
    ['-'] = 63, ['_'] = 64,
};

static size_t padding_of(size_t bytes)
{
    return bytes % 3 ? 3 - bytes % 3 : 0;
}

/* Adds whole groups, the last one padded. */
static void add_by(struct buf *buf, struct str bytes, const char *alphabet)
{
    size_t len = (bytes.len + 2) / 3 * 4;
    char *out = len ? buf_reserve(buf, len) : NULL;
    if (!out)
        return;
    const unsigned char *in = (const unsigned char *)bytes.at;
    for (size_t left = bytes.len; left; out += 4) {
        size_t n = left < 3 ? left : 3;
        uint32_t group = (uint32_t)in[0] << 16;
        group |= n > 1 ? (uint32_t)in[1] << 8 : 0;
        group |= n > 2 ? in[2] : 0;
        out[0] = alphabet[group >> 18];
        out[1] = alphabet[group >> 12 & 63];
        out[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
        out[3] = n > 2 ? alphabet[group & 63] : '=';
        in += n;
        left -= n;
    }
    buf->len += len;
}

void base64_add(struct buf *buf, struct str bytes)
{
    add_by(buf, bytes, digits);
}

void base64url_add(struct buf *buf, struct str bytes)
{
    add_by(buf, bytes, url_digits);
    if (bytes.len && !buf_failed(buf))
        buf->len -= padding_of(bytes.len);
}

/* Decodes the `n` digits of a group to `n - 1` bytes, one to three. */
static int decode_group(const char *in, size_t n, char *out)
{
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        unsigned value = i < n ? values[(unsigned char)in[i]] : 1;
        if (!value)
            return -EINVAL;
        group = group << 6 | (value - 1);
    }
    /* Refuse bits behind the last byte: no two spellings may decode to the same value. */
    if (group & (0xffffffu >> (n - 1) * 8))
        return -EINVAL;
    for (size_t i = 0; i + 1 < n; i++)
        out[i] = (char)(group >> (16 - 8 * i));
    return 0;
}

static size_t count_padding(struct str text)
{
    if (text.at[text.len - 1] != '=')
        return 0;
    return text.at[text.len - 2] == '=' ? 2 : 1;
}

/* Whether no digit belongs to the other alphabet: '+' and '/', or '-' and '_'. */
static bool lacks(struct str text, const char others[2])
{
    return !memchr(text.at, others[0], text.len) && !memchr(text.at, others[1], text.len);
}

/* Decodes digits, the last group of which may have fewer than four. */
static int decode(struct buf *buf, struct str text)
{
    char *out = buf_reserve(buf, (text.len + 3) / 4 * 3);
    if (!out)
        return -ENOMEM;
    for (size_t i = 0; i < text.len; i += 4, out += 3) {
        size_t n = text.len - i < 4 ? text.len - i : 4;
        if (n < 2 || decode_group(text.at + i, n, out) != 0)
            return -EINVAL;
    }
    buf->len += text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0);
    return 0;
}

int base64_decode(struct buf *buf, struct str text)
{
    if (text.len % 4)
        return -EINVAL;
    if (!text.len)
        return buf_failed(buf) ? -ENOMEM : 0;
    text.len -= count_padding(text);
    return lacks(text, "-_") ? decode(buf, text) : -EINVAL;
}

int base64url_decode(struct buf *buf, struct str text)
{
    if (!text.len)
        return buf_failed(buf) ? -ENOMEM : 0;
    return lacks(text, "+/") ? decode(buf, text) : -EINVAL;
}
