#include "base/number.h"

#include <errno.h>

#define S_US UINT64_C(1000000)
#define KIB UINT64_C(1024)
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct suffix {
    const char *text;
    uint64_t factor; /* in µs or bytes */
};

/* Ordered from the largest to the smallest, as number_write_in() tries them. */
static const struct suffix times[] = {
    {"d", 86400 * S_US}, {"h", 3600 * S_US}, {"m", 60 * S_US}, {"s", S_US}, {"ms", 1000}, {"us", 1},
};
static const struct suffix sizes[] = {
    {"PiB", KIB *KIB *KIB *KIB *KIB},
    {"TiB", KIB *KIB *KIB *KIB},
    {"GiB", KIB *KIB *KIB},
    {"MiB", KIB *KIB},
    {"KiB", KIB},
};
/* Accepted, but never written. */
static const struct suffix decimal_sizes[] = {
    {"PB", UINT64_C(1000000000000000)},
    {"TB", UINT64_C(1000000000000)},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"KB", 1000},
    {"kB", 1000},
    {"B", 1},
};

/* The value of a bare number in µs or bytes; 0 for units that take no suffix. */
static uint64_t factor_of(enum number_unit unit)
{
    switch (unit) {
    case NUMBER_US:
    case NUMBER_BYTES:
        return 1;
    case NUMBER_MS:
        return 1000;
    case NUMBER_S:
        return S_US;
    case NUMBER_COUNT:
    case NUMBER_PERCENT:
        break;
    }
    return 0;
}

int number_read(struct str text, uint64_t *ret)
{
    uint64_t number = 0;
    bool overflow = false;
    if (!text.len || (text.len > 1 && text.at[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '9')
            return -EINVAL;
        overflow |= __builtin_mul_overflow(number, 10U, &number);
        overflow |= __builtin_add_overflow(number, (uint64_t)(text.at[i] - '0'), &number);
    }
    if (overflow)
        return -ERANGE;
    *ret = number;
    return 0;
}

static uint64_t find_factor(const struct suffix *suffixes, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(text, str_from(suffixes[i].text)))
            return suffixes[i].factor;
    return 0;
}

static uint64_t suffix_factor(struct str text, enum number_unit unit)
{
    if (!factor_of(unit))
        return 0;
    if (unit != NUMBER_BYTES)
        return find_factor(times, COUNT_OF(times), text);
    uint64_t factor = find_factor(sizes, COUNT_OF(sizes), text);
    return factor ? factor : find_factor(decimal_sizes, COUNT_OF(decimal_sizes), text);
}

int number_read_in(struct str text, enum number_unit unit, uint64_t *ret)
{
    uint64_t number = 0, own = factor_of(unit);
    size_t digits = 0;
    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    struct str suffix = str_skip(text, digits);
    uint64_t factor = suffix.len ? suffix_factor(suffix, unit) : own;
    int result = number_read((struct str){text.at, digits}, &number);
    if (result == -EINVAL || (suffix.len && !factor))
        return -EINVAL;
    if (!result && suffix.len && __builtin_mul_overflow(number, factor, &number))
        result = -ERANGE;
    if (!result && suffix.len && number % own)
        result = -EDOM;
    if (!result)
        *ret = suffix.len ? number / own : number;
    return result;
}

void number_write_in(struct buf *out, uint64_t number, enum number_unit unit)
{
    const struct suffix *suffixes = unit == NUMBER_BYTES ? sizes : times;
    size_t count = unit == NUMBER_BYTES ? COUNT_OF(sizes) : COUNT_OF(times);
    uint64_t own = factor_of(unit), all = 0;
    bool plain = !number || !own || __builtin_mul_overflow(number, own, &all);
    for (size_t i = 0; !plain && i < count; i++) {
        if (all % suffixes[i].factor)
            continue;
        buf_add_u64(out, all / suffixes[i].factor);
        buf_add_str(out, str_from(suffixes[i].text));
        return;
    }
    buf_add_u64(out, number);
}

int boolean_read(struct str text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (!str_eq_nocase(text, str_from(words[i])))
            continue;
        *ret = i % 2;
        return 0;
    }
    return -EINVAL;
}
