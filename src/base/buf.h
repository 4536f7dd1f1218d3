/* A growing run of bytes in memory of its own: output that is built, input that is gathered. */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* A buffer of zeroes is empty. A buffer that could not grow is `failed`, and ignores all further
 * adds: callers add many times and check once, at the end, with buf_failed(). */
struct buf {
    char *at;
    size_t len;
    size_t cap;
    bool failed;
};

/* Frees the bytes; the buffer is then empty and usable. */
void buf_free(struct buf *buf);

/* Overwrites the bytes and frees them: for secrets. A secret that grows leaves copies behind, so
 * reserve its room before you add it. */
void buf_wipe(struct buf *buf);

/* Drops the bytes and the failure, keeps the memory. */
static inline void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->at, buf->len};
}

/* The bytes from position `start` on. NULL if the buffer is empty, which has no memory: not even 0
 * may be added to its address. */
static inline char *buf_from(const struct buf *buf, size_t start)
{
    return buf->at ? buf->at + start : NULL;
}

/* buf_reserve() for a buffer that may have to grow. */
char *buf_reserve_more(struct buf *buf, size_t n);

/* Room for `n` more bytes behind the last; they count once the caller has raised buf->len. NULL,
 * and the buffer failed, if there is no memory. Inline, as the adds are: a response is made of
 * dozens of them, and nearly all find room. */
static inline char *buf_reserve(struct buf *buf, size_t n)
{
    bool fits = buf->at && buf->cap - buf->len >= n && !buf->failed;
    return __builtin_expect(fits, 1) ? buf->at + buf->len : buf_reserve_more(buf, n);
}

static inline void buf_add(struct buf *buf, const void *bytes, size_t n)
{
    char *room = n ? buf_reserve(buf, n) : NULL;
    if (!room)
        return;
    memcpy(room, bytes, n);
    buf->len += n;
}

static inline void buf_add_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.at, s.len);
}

static inline void buf_add_char(struct buf *buf, char c)
{
    char *room = buf_reserve(buf, 1);
    if (!room)
        return;
    *room = c;
    buf->len++;
}

void buf_add_u64(struct buf *buf, uint64_t n);
/* An event id is written as 16 digits with leading zeroes. */
enum { BUF_ID_LEN = 16 };
void buf_add_id(struct buf *buf, uint64_t id);
/* Writes the digits into memory of the caller's, without a zero at the end. */
void buf_put_id(char to[BUF_ID_LEN], uint64_t id);
void buf_add_hex(struct buf *buf, uint64_t n);
void buf_addf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds the sentence that says why something is refused. Returns -EINVAL, so that a check can end
 * with this call. */
int buf_refuse(struct buf *why, const char *sentence);

/* Adds `s` as a JSON string with its quotes. Escapes only where RFC 8259 section 7 demands it. `s`
 * must be UTF-8. */
void buf_add_json(struct buf *buf, struct str s);

/* Gives back the memory behind the last byte, as far as the allocator can. */
void buf_fit(struct buf *buf);

/* Drops the first `n` bytes and moves the rest down. */
void buf_drop(struct buf *buf, size_t n);

#define buf_add_lit(buf, literal) buf_add((buf), (literal), sizeof(literal) - 1)
