/* A run of bytes that is borrowed: its maker owns it, nothing here frees it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *at;
    size_t len;
};

/* A string literal as a str. */
#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For printf's "%.*s". */
#define STR_FMT(s) (int)(s).len, (s).at

static inline struct str str_from(const char *zero_terminated)
{
    return (struct str){zero_terminated, strlen(zero_terminated)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

/* Compares by bytes; a prefix comes before the longer string. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = least ? memcmp(a.at, b.at, least) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* `s` without its first `n` bytes; empty if there are no more. */
static inline struct str str_skip(struct str s, size_t n)
{
    if (n > s.len)
        n = s.len;
    return n ? (struct str){s.at + n, s.len - n} : s;
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* ascii_lower() of each byte of a word. */
static inline uint64_t ascii_lower_word(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t low = word & ~tops;
    uint64_t from_a = low + ones * (0x80 - 'A'), behind_z = low + ones * (0x80 - 'Z' - 1);
    return word | ((from_a ^ behind_z) & ~word & tops) >> 2;
}

static inline bool words_eq_nocase(const char *a, const char *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return ascii_lower_word(left) == ascii_lower_word(right);
}

/* Equality regardless of ASCII case, as header names need it (RFC 9110 section 5.1). */
static inline bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    size_t i = 0;
    for (; i + 8 <= a.len; i += 8)
        if (!words_eq_nocase(a.at + i, b.at + i))
            return false;
    if (i < a.len && a.len > 8) /* the last word overlaps the one before */
        return words_eq_nocase(a.at + a.len - 8, b.at + a.len - 8);
    for (; i < a.len; i++)
        if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
            return false;
    return true;
}

/* `s` without spaces and tabs at both ends (RFC 9110 section 5.6.3, OWS). */
static inline struct str str_trim(struct str s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = (struct str){s.at + 1, s.len - 1};
    while (s.len && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts the part before `sep` off the front of `*rest` and returns it, or all of `*rest` if there is
 * no `sep`. `*rest` is left behind the separator, with `at == NULL` once nothing follows. */
static inline struct str str_cut(struct str *rest, char sep)
{
    const char *found = rest->len ? memchr(rest->at, sep, rest->len) : NULL;
    struct str head = *rest;
    if (!found) {
        *rest = STR_NONE;
        return head;
    }
    head.len = (size_t)(found - rest->at);
    *rest = (struct str){found + 1, rest->len - head.len - 1};
    return head;
}
