/* The search for the bytes of a JSON string that do not stand for themselves: the quote, the
 * backslash, and control characters. Sixteen bytes at a time where the machine can. */
#pragma once

#include "base/str.h"

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define PLAIN_EACH_BYTE(c) ((uint64_t)(c)*0x0101010101010101)

static inline uint64_t plain_bytes_below(uint64_t word, unsigned char limit)
{
    return (word - PLAIN_EACH_BYTE(limit)) & ~word & PLAIN_EACH_BYTE(0x80);
}

/* Whether any of eight bytes ends a run of plain bytes. The borrow of a subtraction may mark the
 * byte above a marked one too; the answer is the same. */
static inline bool plain_word_ends(uint64_t word)
{
    return (plain_bytes_below(word, 0x20) | plain_bytes_below(word ^ PLAIN_EACH_BYTE('"'), 1) |
            plain_bytes_below(word ^ PLAIN_EACH_BYTE('\\'), 1)) != 0;
}

static inline bool plain_ends(unsigned char c)
{
    return c < 0x20 || c == '"' || c == '\\';
}

/* The end of the plain bytes at `at`, the length of the text if all are. `*non_ascii` becomes true
 * if one of those that were passed is not ASCII. */
static inline size_t plain_skip(struct str text, size_t at, bool *non_ascii)
{
#ifdef __SSE2__
    unsigned tops = 0;
    for (; text.len - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(text.at + at));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
        unsigned ends =
            (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(control, quote), backslash));
        unsigned high = (unsigned)_mm_movemask_epi8(bytes);
        if (ends) {
            *non_ascii |= (tops | (high & (ends - 1) & ~ends)) != 0;
            return at + (unsigned)__builtin_ctz(ends);
        }
        tops |= high;
    }
    *non_ascii |= tops != 0;
#endif
    uint64_t word, seen = 0;
    for (; text.len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, text.at + at, sizeof(word));
        if (plain_word_ends(word))
            break;
        seen |= word;
    }
    for (; at < text.len && !plain_ends((unsigned char)text.at[at]); at++)
        seen |= PLAIN_EACH_BYTE((unsigned char)text.at[at]);
    *non_ascii |= (seen & PLAIN_EACH_BYTE(0x80)) != 0;
    return at;
}

#ifdef __SSE2__
static inline bool plain_block(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
    __m128i backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'));
    return !_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(control, quote), backslash));
}
#endif

/* Whether all bytes of the text are plain. */
static inline bool plain_all(struct str text)
{
#ifdef __SSE2__
    if (text.len >= 16) {
        for (size_t at = 0; text.len - at > 16; at += 16)
            if (!plain_block(text.at + at))
                return false;
        return plain_block(text.at + text.len - 16); /* overlaps the one before */
    }
#endif
    bool ignored = false;
    return plain_skip(text, 0, &ignored) == text.len;
}
