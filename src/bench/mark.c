#include "bench/mark.h"

/* Eight digits are read at once: the receiver looks at millions of marks a second, and its own cost
 * would be attributed to the server. */
static const uint64_t ones = 0x0101010101010101;

void mark_write_hex(char ret[8], uint32_t value)
{
    uint64_t nibbles = value;
    nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f0f0f0f0f0f0f;
    nibbles = __builtin_bswap64(nibbles);
    uint64_t letters = ((nibbles + 6 * ones) >> 4) & ones;
    uint64_t text = nibbles + 0x30 * ones + letters * ('a' - '9' - 1);
    memcpy(ret, &text, sizeof(text));
}

static bool read_hex(const char *at, uint32_t *ret)
{
    uint64_t text;
    memcpy(&text, at, sizeof(text));
    uint64_t nibbles = (text & (0x0f * ones)) + ((text >> 6) & ones) * 9;
    uint64_t value = __builtin_bswap64(nibbles);
    value = (value | value >> 4) & 0x00ff00ff00ff00ff;
    value = (value | value >> 8) & 0x0000ffff0000ffff;
    *ret = (uint32_t)(value | value >> 16);
    char again[8];
    mark_write_hex(again, *ret);
    return memcmp(again, at, sizeof(again)) == 0;
}

void mark_write(char ret[MARK_LEN], struct mark mark)
{
    ret[0] = '~';
    mark_write_hex(ret + 1, mark.lane);
    mark_write_hex(ret + 9, mark.number);
    mark_write_hex(ret + 17, (uint32_t)(mark.time_ns >> 32));
    mark_write_hex(ret + 25, (uint32_t)mark.time_ns);
    ret[MARK_LEN - 1] = '~';
}

static bool read_mark(const char *at, struct mark *ret)
{
    uint32_t high, low;
    if (at[MARK_LEN - 1] != '~' || !read_hex(at + 1, &ret->lane) ||
        !read_hex(at + 9, &ret->number) || !read_hex(at + 17, &high) || !read_hex(at + 25, &low))
        return false;
    ret->time_ns = (uint64_t)high << 32 | low;
    return true;
}

bool mark_next(struct str *bytes, struct mark *ret)
{
    while (bytes->len) {
        const char *found = memchr(bytes->at, '~', bytes->len);
        if (!found)
            break;
        *bytes = str_skip(*bytes, (size_t)(found - bytes->at));
        if (bytes->len < MARK_LEN)
            return false;
        bool whole = read_mark(found, ret);
        *bytes = str_skip(*bytes, whole ? MARK_LEN : 1);
        if (whole)
            return true;
    }
    *bytes = STR_NONE;
    return false;
}
