#include "http/token.h"

#include <errno.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* The preprocessor spells out the table, so that each class reads like its definition. */
#define ALNUM(c)                                                                                   \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'A' && (c) <= 'Z') || ((c) >= 'a' && (c) <= 'z'))
#define ONE_OF_TOKEN(c)                                                                            \
    ((c) == '!' || (c) == '#' || (c) == '$' || (c) == '%' || (c) == '&' || (c) == '\'' ||          \
     (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' || (c) == '^' || (c) == '_' ||           \
     (c) == '`' || (c) == '|' || (c) == '~')
#define TOKEN(c) (ALNUM(c) || ONE_OF_TOKEN(c))
#define VALUE(c) ((c) == '\t' || ((c) >= 0x20 && (c) != 0x7f))
#define TARGET(c) ((c) > 0x20 && (c) < 0x7f && (c) != '#')
#define QDTEXT(c) (VALUE(c) && (c) != '"' && (c) != '\\')
#define HOST(c) (ALNUM(c) || (c) == '-' || (c) == '.' || (c) == '_' || (c) == '~')
#define HEX(c)                                                                                     \
    (((c) >= '0' && (c) <= '9') || ((c) >= 'A' && (c) <= 'F') || ((c) >= 'a' && (c) <= 'f'))
#define DIGIT(c) ((c) >= '0' && (c) <= '9')
#define CLASS(c)                                                                                   \
    ((TOKEN(c) ? HTTP_CHAR_TOKEN : 0) | (VALUE(c) ? HTTP_CHAR_VALUE : 0) |                         \
     (TARGET(c) ? HTTP_CHAR_TARGET : 0) | (QDTEXT(c) ? HTTP_CHAR_QDTEXT : 0) |                     \
     (HOST(c) ? HTTP_CHAR_HOST : 0) | (HEX(c) ? HTTP_CHAR_HEX : 0) |                               \
     (DIGIT(c) ? HTTP_CHAR_DIGIT : 0))
#define FOUR(c) CLASS(c), CLASS((c) + 1), CLASS((c) + 2), CLASS((c) + 3)
#define SIXTEEN(c) FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)
#define SIXTY_FOUR(c) SIXTEEN(c), SIXTEEN((c) + 16), SIXTEEN((c) + 32), SIXTEEN((c) + 48)

const unsigned char http_char_class[256] = {SIXTY_FOUR(0), SIXTY_FOUR(64), SIXTY_FOUR(128),
                                            SIXTY_FOUR(192)};

static size_t run_len(struct str s, size_t at, int class)
{
    while (at < s.len && http_char_is(s.at[at], class))
        at++;
    return at;
}

#ifdef __SSE2__

/* Where the first of `others`, which has some, is set. */
static size_t run_end(size_t at, __m128i others)
{
    return at + (unsigned)__builtin_ctz((unsigned)_mm_movemask_epi8(others));
}

static bool is_any(__m128i bytes)
{
    return _mm_movemask_epi8(bytes) != 0;
}

size_t http_value_len(struct str s)
{
    const __m128i tab = _mm_set1_epi8('\t'), delete = _mm_set1_epi8(0x7f);
    size_t at = 0;
    for (; s.len - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(s.at + at));
        __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        __m128i others = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                      _mm_cmpeq_epi8(bytes, delete));
        if (is_any(others))
            return run_end(at, others);
    }
    return run_len(s, at, HTTP_CHAR_VALUE);
}

size_t http_target_len(struct str s)
{
    const __m128i fragment = _mm_set1_epi8('#'), delete = _mm_set1_epi8(0x7f);
    size_t at = 0;
    for (; s.len - at >= 16; at += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(s.at + at));
        __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x21)); /* and those above 0x7f */
        __m128i others = _mm_or_si128(
            low, _mm_or_si128(_mm_cmpeq_epi8(bytes, fragment), _mm_cmpeq_epi8(bytes, delete)));
        if (is_any(others))
            return run_end(at, others);
    }
    return run_len(s, at, HTTP_CHAR_TARGET);
}

#else

size_t http_value_len(struct str s)
{
    return run_len(s, 0, HTTP_CHAR_VALUE);
}

size_t http_target_len(struct str s)
{
    return run_len(s, 0, HTTP_CHAR_TARGET);
}

#endif

size_t http_token_len(struct str s)
{
    return run_len(s, 0, HTTP_CHAR_TOKEN);
}

bool http_all(struct str s, int class)
{
    for (size_t i = 0; i < s.len; i++)
        if (!http_char_is(s.at[i], class))
            return false;
    return s.len > 0;
}

int http_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The end of the list element that begins `s`: a comma outside quotes, or the end of the text. */
static size_t element_len(struct str s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] == ',' && !quoted)
            return i;
        if (s.at[i] == '"')
            quoted = !quoted;
        else if (s.at[i] == '\\' && quoted)
            i++;
    }
    return s.len;
}

bool http_list_next(struct str *rest, struct str *ret_element)
{
    while (rest->len) {
        size_t len = element_len(*rest);
        struct str element = str_trim((struct str){rest->at, len});
        *rest = str_skip(*rest, len + 1);
        if (element.len) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

/* `s` without the bytes of the class at its front. */
static struct str behind(struct str s, int class)
{
    while (s.len && http_char_is(s.at[0], class))
        s = str_skip(s, 1);
    return s;
}

static struct str behind_space(struct str s)
{
    while (s.len && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = str_skip(s, 1);
    return s;
}

static struct str between(struct str begin, struct str end)
{
    return (struct str){begin.at, begin.len - end.len};
}

/* Takes a quoted string off the front of `*rest`, which begins with its first quote. */
static int take_quoted(struct str *rest, struct str *ret)
{
    struct str inner = str_skip(*rest, 1);
    struct str s = inner;
    while (s.len && s.at[0] != '"') {
        bool escape = s.at[0] == '\\';
        if (escape)
            s = str_skip(s, 1);
        if (!s.len || !http_char_is(s.at[0], escape ? HTTP_CHAR_VALUE : HTTP_CHAR_QDTEXT))
            return -EINVAL;
        s = str_skip(s, 1);
    }
    if (!s.len)
        return -EINVAL;
    *ret = between(inner, s);
    *rest = str_skip(s, 1);
    return 0;
}

static int take_value(struct str *rest, struct str *ret)
{
    if (rest->len && rest->at[0] == '"')
        return take_quoted(rest, ret);
    struct str end = behind(*rest, HTTP_CHAR_TOKEN);
    *ret = between(*rest, end);
    *rest = end;
    return ret->len ? 0 : -EINVAL;
}

int http_pair(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    struct str end = behind(*rest, HTTP_CHAR_TOKEN);
    struct str name = between(*rest, end);
    struct str value = STR_NONE;
    if (!name.len)
        return -EINVAL;
    struct str sign = behind_space(end);
    if (sign.len && sign.at[0] == '=') {
        end = behind_space(str_skip(sign, 1));
        if (take_value(&end, &value))
            return -EINVAL;
    }
    *rest = end;
    *ret_name = name;
    *ret_value = value;
    return 0;
}

int http_param_next(struct str *rest, struct str *ret_name, struct str *ret_value)
{
    struct str s = behind_space(*rest);
    if (s.len && s.at[0] != ';')
        return -EINVAL;
    while (s.len && s.at[0] == ';')
        s = behind_space(str_skip(s, 1));
    if (!s.len)
        return 0;
    int error = http_pair(&s, ret_name, ret_value);
    *rest = s;
    return error ? error : 1;
}

/* Digits of which any number fits. */
enum { DIGITS_FIT = 19 };

int http_number(struct str s, uint64_t *ret)
{
    uint64_t number = 0;
    bool overflow = false;
    size_t fit = s.len < DIGITS_FIT ? s.len : DIGITS_FIT;
    size_t i = 0;
    for (; i < fit && (unsigned char)(s.at[i] - '0') < 10; i++)
        number = number * 10 + (unsigned char)(s.at[i] - '0');
    for (; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return -EINVAL;
        overflow |= __builtin_mul_overflow(number, 10U, &number);
        overflow |= __builtin_add_overflow(number, (uint64_t)(s.at[i] - '0'), &number);
    }
    if (!s.len || overflow)
        return s.len ? -ERANGE : -EINVAL;
    *ret = number;
    return 0;
}
