#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAP_FIRST = 128 };

void buf_free(struct buf *buf)
{
    free(buf->at);
    *buf = (struct buf){0};
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

char *buf_reserve(struct buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if (n > SIZE_MAX / 4 - buf->len) {
        buf->failed = true;
        return NULL;
    }
    bool fits = buf->at && buf->cap - buf->len >= n;
    if (!fits && !grow(buf, buf->len + n))
        return NULL;
    return buf->at + buf->len;
}

void buf_add(struct buf *buf, const void *bytes, size_t n)
{
    char *room = n ? buf_reserve(buf, n) : NULL;
    if (!room)
        return;
    memcpy(room, bytes, n);
    buf->len += n;
}

void buf_add_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.at, s.len);
}

void buf_add_char(struct buf *buf, char c)
{
    buf_add(buf, &c, 1);
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

void buf_add_id(struct buf *buf, uint64_t id)
{
    char *room = buf_reserve(buf, 16);
    if (!room)
        return;
    for (int i = 15; i >= 0; i--, id /= 10)
        room[i] = (char)('0' + id % 10);
    buf->len += 16;
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

static void add_escaped(struct buf *buf, unsigned char c)
{
    static const char short_forms[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *form = short_forms; *form; form += 2) {
        if ((unsigned char)form[0] == c) {
            buf_add(buf, (char[]){'\\', form[1]}, 2);
            return;
        }
    }
    buf_addf(buf, "\\u%04x", c);
}

void buf_add_json(struct buf *buf, struct str s)
{
    size_t start = 0;
    buf_add_char(buf, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_add(buf, s.at + start, i - start);
        add_escaped(buf, c);
        start = i + 1;
    }
    if (start < s.len)
        buf_add(buf, s.at + start, s.len - start);
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
