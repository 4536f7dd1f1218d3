#include "base/utf8.h"

/* The state between two bytes: 0 between characters, BROKEN after a fault, else the number of bytes
 * due and the bounds of the next one. Only the first byte after the lead has bounds of its own.
 * They exclude overlong forms, surrogates and values above U+10FFFF. */
#define DUE(count, least, most) ((uint32_t)(count) << 16 | (uint32_t)(least) << 8 | (most))
#define BROKEN UINT32_MAX

/* Texts up to this length are first looked at as if they were ASCII. */
enum { ASCII_FIRST = 1024 };

/* The table of RFC 3629 section 4, by first byte. */
static const uint32_t after_lead[256] = {
    [0x00 ... 0x7f] = 0,
    [0x80 ... 0xc1] = BROKEN,
    [0xc2 ... 0xdf] = DUE(1, 0x80, 0xbf),
    [0xe0] = DUE(2, 0xa0, 0xbf),
    [0xe1 ... 0xec] = DUE(2, 0x80, 0xbf),
    [0xed] = DUE(2, 0x80, 0x9f),
    [0xee ... 0xef] = DUE(2, 0x80, 0xbf),
    [0xf0] = DUE(3, 0x90, 0xbf),
    [0xf1 ... 0xf3] = DUE(3, 0x80, 0xbf),
    [0xf4] = DUE(3, 0x80, 0x8f),
    [0xf5 ... 0xff] = BROKEN,
};

static uint32_t after_next(uint32_t state, unsigned char c)
{
    uint32_t due = state >> 16;
    if (c < (state >> 8 & 0xff) || c > (state & 0xff))
        return BROKEN;
    return due == 1 ? 0 : DUE(due - 1, 0x80, 0xbf);
}

/* The end of the run of ASCII that starts at `i`, or at most 7 bytes before that end. */
static size_t skip_ascii(struct str s, size_t i)
{
    uint64_t words[2];
    for (; s.len - i >= sizeof(words); i += sizeof(words)) {
        memcpy(words, s.at + i, sizeof(words));
        if ((words[0] | words[1]) & 0x8080808080808080)
            break;
    }
    if (s.len - i >= sizeof(words[0])) {
        memcpy(words, s.at + i, sizeof(words[0]));
        i += words[0] & 0x8080808080808080 ? 0 : sizeof(words[0]);
    }
    return i;
}

bool utf8_feed(struct utf8_state *state, struct str piece)
{
    uint32_t now = state->state;
    size_t i = 0;
    while (i < piece.len && now != BROKEN) {
        unsigned char c = (unsigned char)piece.at[i++];
        if (now)
            now = after_next(now, c);
        else if (c >= 0x80)
            now = after_lead[c];
        else
            i = skip_ascii(piece, i);
    }
    state->state = now;
    return now != BROKEN;
}

bool utf8_done(const struct utf8_state *state)
{
    return state->state == 0;
}

/* Whether a text of 16 bytes or more is ASCII. */
static bool is_ascii(struct str s)
{
    uint64_t words[2], all = 0;
    for (size_t i = 0; i + sizeof(words) < s.len; i += sizeof(words)) {
        memcpy(words, s.at + i, sizeof(words));
        all |= words[0] | words[1];
    }
    memcpy(words, s.at + s.len - sizeof(words), sizeof(words)); /* overlaps the ones before */
    return !((all | words[0] | words[1]) & 0x8080808080808080);
}

bool utf8_valid(struct str s)
{
    if (s.len >= 16 && s.len <= ASCII_FIRST && is_ascii(s))
        return true; /* the common case */
    struct utf8_state state = {0};
    return utf8_feed(&state, s) && utf8_done(&state);
}
