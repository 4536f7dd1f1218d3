#include "base/buf.h"

#include "base/mem.h"
#include "base/plain.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP_FIRST = 128 };

void buf_free(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){0};
}

void buf_wipe(struct buf *buf)
{
    if (buf->at)
        explicit_bzero(buf->at, buf->cap);
    buf_free(buf);
}

static bool grow(struct buf *buf, size_t need)
{
    size_t cap = buf->cap ? buf->cap : CAP_FIRST;
    while (cap < need)
        cap *= 2;
    char *at = mem_try_realloc(buf->at, cap);
    if (!at) {
        buf->failed = true;
        return false;
    }
    buf->at = at;
    buf->cap = cap;
    return true;
}

char *buf_reserve_more(struct buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if (n > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return NULL;
    }
    return grow(buf, buf->len + n) ? buf->at + buf->len : NULL;
}

void buf_add_u64(struct buf *buf, uint64_t n)
{
    char digits[20];
    char *first = digits + sizeof(digits);
    do {
        *--first = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    buf_add(buf, first, (size_t)(digits + sizeof(digits) - first));
}

/* Eight digits, the first in the lowest byte. Numbers of four, two and one digits lie side by side
 * in one word, so that a division by multiplying and shifting splits all of them at once. */
static uint64_t eight_digits(uint64_t n)
{
    uint64_t fours = n / 10000 | n % 10000 << 32;
    uint64_t hundreds = fours * 10486 >> 20 & UINT64_C(0x0000007f0000007f);
    uint64_t twos = hundreds | (fours - hundreds * 100) << 16;
    uint64_t tens = twos * 103 >> 10 & UINT64_C(0x000f000f000f000f);
    return (tens | (twos - tens * 10) << 8) + UINT64_C(0x3030303030303030);
}

void buf_put_id(char to[BUF_ID_LEN], uint64_t id)
{
    const uint64_t half = 100000000;
    uint64_t first = htole64(eight_digits(id / half % half)),
             last = htole64(eight_digits(id % half));
    memcpy(to, &first, sizeof(first));
    memcpy(to + sizeof(first), &last, sizeof(last));
}

void buf_add_id(struct buf *buf, uint64_t id)
{
    char *room = buf_reserve(buf, BUF_ID_LEN);
    if (!room)
        return;
    buf_put_id(room, id);
    buf->len += BUF_ID_LEN;
}

void buf_add_hex(struct buf *buf, uint64_t n)
{
    char digits[16];
    char *first = digits + sizeof(digits);
    do {
        *--first = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n);
    buf_add(buf, first, (size_t)(digits + sizeof(digits) - first));
}

void buf_addf(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *room = n >= 0 ? buf_reserve(buf, (size_t)n + 1) : NULL;
    if (room) {
        vsnprintf(room, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

int buf_refuse(struct buf *why, const char *sentence)
{
    buf_add_str(why, str_from(sentence));
    return -EINVAL;
}

/* How a byte is escaped in a JSON string: 0 not at all, 'u' by its number, else the letter behind
 * the backslash. */
static const char json_escapes[256] = {
    [0x00] = 'u', [0x01] = 'u', [0x02] = 'u', [0x03] = 'u',  [0x04] = 'u', [0x05] = 'u',
    [0x06] = 'u', [0x07] = 'u', ['\b'] = 'b', ['\t'] = 't',  ['\n'] = 'n', [0x0b] = 'u',
    ['\f'] = 'f', ['\r'] = 'r', [0x0e] = 'u', [0x0f] = 'u',  [0x10] = 'u', [0x11] = 'u',
    [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u',  [0x16] = 'u', [0x17] = 'u',
    [0x18] = 'u', [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u',  [0x1c] = 'u', [0x1d] = 'u',
    [0x1e] = 'u', [0x1f] = 'u', ['"'] = '"',  ['\\'] = '\\',
};

/* Bytes that are looked at one by one after an escape, since another is likely to follow. */
enum { JSON_STEP = 64, JSON_ESCAPE_MAX = 6 };

static char *put_json(char *to, unsigned char c)
{
    char escape = json_escapes[c];
    if (!escape) {
        *to = (char)c;
        return to + 1;
    }
    *to++ = '\\';
    *to++ = escape;
    if (escape != 'u')
        return to;
    to[0] = '0';
    to[1] = '0';
    to[2] = "0123456789abcdef"[c >> 4];
    to[3] = "0123456789abcdef"[c & 15];
    return to + 4;
}

/* Strings up to this length are first taken as if they needed no escape. */
enum { PLAIN_FIRST = 1024 };

/* The length of the run of bytes at the start of `s` that need no escape. */
static size_t plain_json(struct str s)
{
    bool ignored = false;
    return plain_skip(s, 0, &ignored);
}

/* Adds the string if it needs no escape, as nearly all do. */
static bool add_plain(struct buf *buf, struct str s)
{
    char *room = plain_all(s) ? buf_reserve(buf, s.len + 2) : NULL;
    if (!room)
        return false;
    room[0] = '"';
    if (s.len)
        memcpy(room + 1, s.at, s.len);
    room[s.len + 1] = '"';
    buf->len += s.len + 2;
    return true;
}

void buf_add_json(struct buf *buf, struct str s)
{
    if (s.len <= PLAIN_FIRST && add_plain(buf, s))
        return;
    buf_add_char(buf, '"');
    while (s.len && !buf->failed) {
        size_t plain = plain_json(s);
        buf_add(buf, s.at, plain);
        s = str_skip(s, plain);
        size_t step = s.len < JSON_STEP ? s.len : JSON_STEP;
        char *room = step ? buf_reserve(buf, step * JSON_ESCAPE_MAX) : NULL, *to = room;
        for (size_t i = 0; room && i < step; i++)
            to = put_json(to, (unsigned char)s.at[i]);
        buf->len += (size_t)(to - room);
        s = str_skip(s, step);
    }
    buf_add_char(buf, '"');
}

void buf_drop(struct buf *buf, size_t n)
{
    if (n >= buf->len) {
        buf->len = 0;
        return;
    }
    memmove(buf->at, buf->at + n, buf->len - n);
    buf->len -= n;
}

void buf_fit(struct buf *buf)
{
    if (!buf->len) {
        bool failed = buf->failed;
        buf_free(buf);
        buf->failed = failed;
        return;
    }
    char *at = buf->cap > buf->len ? mem_try_realloc(buf->at, buf->len) : NULL;
    if (!at)
        return;
    buf->at = at;
    buf->cap = buf->len;
}
