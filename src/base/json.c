#include "base/json.h"

#include "base/plain.h"
#include "base/utf8.h"

#include <errno.h>

/* The next byte, or 0 at the end. No token begins with 0 or continues with it, so the end needs no
 * case of its own. */
static inline unsigned char peek(const struct json_scan *scan)
{
    return scan->at < scan->text.len ? (unsigned char)scan->text.at[scan->at] : 0;
}

static inline bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

struct str json_skip_space(struct str text)
{
    size_t at = 0;
    while (at < text.len && is_space((unsigned char)text.at[at]))
        at++;
    return str_skip(text, at);
}

static inline void skip_space(struct json_scan *scan)
{
    while (is_space(peek(scan)))
        scan->at++;
}

static inline bool is_digit(unsigned char c)
{
    return (unsigned)c - '0' < 10;
}

/* The value of each hexadecimal digit, plus one; 0 for a character that is no digit. */
static const uint8_t hex_digits[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* The value of a hexadecimal digit, -1 for any other character. */
static inline int hex_value(unsigned char c)
{
    return hex_digits[c] - 1;
}

static const bool is_short_escape[256] = {['"'] = true, ['\\'] = true, ['/'] = true, ['b'] = true,
                                          ['f'] = true, ['n'] = true,  ['r'] = true, ['t'] = true};

/* Skips escapes of two bytes in a row: a text may consist of nothing else. */
static size_t skip_short_escapes(struct str text, size_t at)
{
    while (text.len - at >= 2 && text.at[at] == '\\' &&
           is_short_escape[(unsigned char)text.at[at + 1]])
        at += 2;
    return at;
}

static int scan_escape(struct json_scan *scan)
{
    size_t at = skip_short_escapes(scan->text, scan->at);
    if (at > scan->at) {
        scan->at = at;
        return 0;
    }
    scan->at++;
    if (peek(scan) != 'u')
        return JSON_E_SYNTAX;
    scan->at++;
    for (int i = 0; i < 4; i++, scan->at++)
        if (hex_value(peek(scan)) < 0)
            return JSON_E_SYNTAX;
    return 0;
}

/* The offset in `s` of its first character that is not UTF-8. */
static size_t utf8_fault(struct str s)
{
    struct utf8_state state = {0};
    size_t start = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (!utf8_feed(&state, (struct str){s.at + i, 1}))
            break;
        if (utf8_done(&state))
            start = i + 1;
    }
    return start;
}

/* Checks the bytes since `from`; leaves the position at the fault. */
static int check_utf8(struct json_scan *scan, size_t from)
{
    struct str passed = {scan->text.at + from, scan->at - from};
    if (utf8_valid(passed))
        return 0;
    scan->at = from + utf8_fault(passed);
    return JSON_E_UTF8;
}

static int scan_string(struct json_scan *scan)
{
    if (peek(scan) != '"')
        return JSON_E_SYNTAX;
    size_t from = ++scan->at;
    bool non_ascii = false;
    int error = 0;
    while (!error) {
        scan->at = plain_skip(scan->text, scan->at, &non_ascii);
        if (peek(scan) != '\\')
            break;
        error = scan_escape(scan);
    }
    if (!error && peek(scan) != '"')
        error = JSON_E_SYNTAX;
    if (non_ascii) {
        int utf8_error = check_utf8(scan, from);
        error = utf8_error ? utf8_error : error;
    }
    scan->at += !error;
    return error;
}

static int scan_digits(struct json_scan *scan)
{
    if (!is_digit(peek(scan)))
        return JSON_E_SYNTAX;
    while (is_digit(peek(scan)))
        scan->at++;
    return 0;
}

static int scan_number(struct json_scan *scan)
{
    int error = 0;
    scan->at += peek(scan) == '-';
    if (peek(scan) == '0')
        scan->at++;
    else
        error = scan_digits(scan);
    if (!error && peek(scan) == '.') {
        scan->at++;
        error = scan_digits(scan);
    }
    if (!error && (peek(scan) | 0x20) == 'e') {
        scan->at++;
        scan->at += peek(scan) == '+' || peek(scan) == '-';
        error = scan_digits(scan);
    }
    return error;
}

static int scan_word(struct json_scan *scan, struct str word)
{
    for (size_t i = 0; i < word.len; i++, scan->at++)
        if (peek(scan) != (unsigned char)word.at[i])
            return JSON_E_SYNTAX;
    return 0;
}

/* Scans a string, number or word. */
static int scan_scalar(struct json_scan *scan)
{
    switch (peek(scan)) {
    case '"':
        return scan_string(scan);
    case 't':
        return scan_word(scan, STR("true"));
    case 'f':
        return scan_word(scan, STR("false"));
    case 'n':
        return scan_word(scan, STR("null"));
    default:
        return scan_number(scan);
    }
}

static bool in_object(const struct json_scan *scan)
{
    unsigned bit = scan->depth - 1;
    return scan->is_object[bit / 64] >> bit % 64 & 1;
}

static int open_container(struct json_scan *scan)
{
    if (scan->depth == JSON_DEPTH_MAX && scan->deep_at == JSON_NOT_DEEP)
        scan->deep_at = scan->at;
    if (scan->depth == scan->depth_max)
        return JSON_E_DEPTH;
    uint64_t bit = (uint64_t)1 << scan->depth % 64;
    uint64_t *bits = &scan->is_object[scan->depth / 64];
    *bits = peek(scan) == '{' ? *bits | bit : *bits & ~bit;
    scan->depth++;
    scan->at++;
    skip_space(scan);
    return 0;
}

static void note_end(const struct json_scan *scan)
{
    struct json_notes *notes = scan->notes;
    if (notes && scan->depth == notes->depth && notes->count < JSON_NOTES_MAX)
        notes->ends[notes->count++] = scan->text.at + scan->at;
}

static bool take_close(struct json_scan *scan)
{
    if (peek(scan) != (in_object(scan) ? '}' : ']'))
        return false;
    scan->depth--;
    scan->at++;
    note_end(scan);
    return true;
}

/* Scans the key and colon in front of a value, if the value is a member of an object. */
static int scan_key(struct json_scan *scan)
{
    if (!in_object(scan))
        return 0;
    int error = scan_string(scan);
    if (error)
        return error;
    skip_space(scan);
    if (peek(scan) != ':')
        return JSON_E_SYNTAX;
    scan->at++;
    skip_space(scan);
    return 0;
}

/* Scans on after a value: closes containers that end there, up to a comma or the end of the
 * outermost value. */
static int scan_after_value(struct json_scan *scan)
{
    while (scan->depth) {
        skip_space(scan);
        if (peek(scan) == ',') {
            scan->at++;
            skip_space(scan);
            return scan_key(scan);
        }
        if (!take_close(scan))
            return JSON_E_SYNTAX;
    }
    return 0;
}

/* Returns an error, or 0; the next value is then due unless depth is 0. */
static int scan_step(struct json_scan *scan)
{
    unsigned char c = peek(scan);
    if (c != '{' && c != '[') {
        int error = scan_scalar(scan);
        return error ? error : scan_after_value(scan);
    }
    int error = open_container(scan);
    if (error)
        return error;
    return take_close(scan) ? scan_after_value(scan) : scan_key(scan);
}

/* Scans on to the first value that begins at `until` or later. Returns an error, or 0; depth is 0
 * at the end of the text. */
__attribute__((flatten)) static int scan_values(struct json_scan *scan, size_t until)
{
    /* A copy whose fields are registers, since the functions that change them become one. */
    struct json_scan now = *scan;
    int error;
    do
        error = scan_step(&now);
    while (!error && now.depth && now.at < until);
    *scan = now;
    return error;
}

static int scan_begin(struct json_scan *scan)
{
    skip_space(scan);
    return scan->at == scan->text.len ? JSON_E_EMPTY : 0;
}

static int scan_end(struct json_scan *scan)
{
    skip_space(scan);
    return scan->at == scan->text.len ? JSON_OK : JSON_E_SYNTAX;
}

/* Whether a fault of grammar is really one of encoding, so that the error points people to the
 * right place. */
static bool breaks_utf8(const struct json_scan *scan)
{
    struct utf8_state state = {0};
    struct str rest = str_skip(scan->text, scan->at);
    for (; rest.len && (unsigned char)rest.at[0] >= 0x80; rest = str_skip(rest, 1)) {
        if (!utf8_feed(&state, (struct str){rest.at, 1}))
            return true;
        if (utf8_done(&state))
            return false;
    }
    return !utf8_done(&state);
}

void json_scan_begin(struct json_scan *scan, unsigned depth_max)
{
    *scan = (struct json_scan){
        .depth_max = depth_max > JSON_DEPTH_LIMIT ? JSON_DEPTH_LIMIT : depth_max,
        .deep_at = JSON_NOT_DEEP,
    };
}

bool json_scan_some(struct json_scan *scan, struct str text, size_t bytes)
{
    size_t until = bytes < SIZE_MAX - scan->at ? scan->at + bytes : SIZE_MAX;
    scan->text = text;
    if (!scan->begun)
        scan->error = (uint8_t)scan_begin(scan);
    scan->begun = true;
    if (!scan->error)
        scan->error = (uint8_t)scan_values(scan, until);
    if (!scan->error && scan->depth)
        return false;
    if (!scan->error)
        scan->error = (uint8_t)scan_end(scan);
    if (scan->error == JSON_E_SYNTAX && scan->at < text.len && breaks_utf8(scan))
        scan->error = JSON_E_UTF8;
    return true;
}

int json_check(struct str text, unsigned depth_max, size_t *ret_at)
{
    struct json_scan scan;
    json_scan_begin(&scan, depth_max);
    (void)json_scan_some(&scan, text, SIZE_MAX);
    if (ret_at)
        *ret_at = scan.at;
    return scan.error;
}

static void replace(char *text, size_t len, char from, char to)
{
    const char *end = text + len;
    for (char *at = text; (at = memchr(at, from, (size_t)(end - at))); at++)
        *at = to;
}

void json_one_line(char *text, size_t len)
{
    if (!len)
        return;
    replace(text, len, '\n', ' ');
    replace(text, len, '\r', ' ');
}

bool json_media_type(struct str type)
{
    if (str_eq_nocase(type, STR("application/json")))
        return true;
    struct str subtype = type;
    struct str top = str_cut(&subtype, '/');
    struct str suffix = STR("+json");
    return top.len && subtype.len > suffix.len &&
           str_eq_nocase(str_skip(subtype, subtype.len - suffix.len), suffix);
}

/* The end of the string whose opening quote is at `at`. Its content is not checked. */
static inline size_t pass_string(struct str text, size_t at)
{
    bool ignored = false;
    at++;
    for (;;) {
        at = plain_skip(text, at, &ignored);
        if (at >= text.len)
            return text.len;
        char c = text.at[at++];
        if (c == '"')
            return at;
        if (c == '\\' && at < text.len)
            at++;
    }
}

static bool ends_bare(unsigned char c)
{
    return is_space(c) || c == ',' || c == ':' || c == ']' || c == '}';
}

/* The end of the number or word at `at`. */
static size_t pass_bare(struct str text, size_t at)
{
    while (at < text.len && !ends_bare((unsigned char)text.at[at]))
        at++;
    return at;
}

/* The end of the value at `at`. The text was checked, so its brackets match: counting them finds
 * the end of a container. */
__attribute__((flatten)) static size_t pass_value(struct str text, size_t at)
{
    if (text.at[at] == '"')
        return pass_string(text, at);
    if (text.at[at] != '{' && text.at[at] != '[')
        return pass_bare(text, at);
    size_t depth = 0;
    while (at < text.len) {
        char c = text.at[at];
        if (c == '"') {
            at = pass_string(text, at);
            continue;
        }
        at++;
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        if (!depth)
            break;
    }
    return at;
}

static size_t pass_space(struct str text, size_t at)
{
    while (at < text.len && is_space((unsigned char)text.at[at]))
        at++;
    return at;
}

static bool is_at(struct str text, size_t at, char one, char other)
{
    return at < text.len && (text.at[at] == one || text.at[at] == other);
}

bool json_next_begins(struct str text, size_t *pos)
{
    size_t at = pass_space(text, *pos);
    bool more = *pos ? is_at(text, at, ',', ',') : is_at(text, at, '{', '[');
    if (more)
        at = pass_space(text, at + 1);
    if (more && at < text.len && !is_at(text, at, '}', ']')) {
        *pos = at;
        return true;
    }
    *pos = at < text.len ? at + 1 : text.len;
    return false;
}

/* The end of the value at `at`, from the notes if they have it. */
static size_t end_of_value(struct str text, size_t at, struct json_notes *notes)
{
    bool is_noted = notes && notes->used < notes->count && is_at(text, at, '{', '[');
    return is_noted ? (size_t)(notes->ends[notes->used++] - text.at) : pass_value(text, at);
}

/* Reads one value and moves `at` to the first byte behind it that is not white space. */
static struct str take_value(struct str text, size_t *at, struct json_notes *notes)
{
    size_t start = *at;
    size_t end = end_of_value(text, start, notes);
    *at = pass_space(text, end);
    return (struct str){text.at + start, end - start};
}

int json_next(struct str container, size_t *pos, struct str *ret_key, struct str *ret_value)
{
    return json_next_noted(container, pos, NULL, ret_key, ret_value);
}

struct str json_find(struct str object, struct str name)
{
    struct str key, value;
    for (size_t pos = 0; json_next(object, &pos, &key, &value);)
        if (str_eq(key, name))
            return value;
    return STR_NONE;
}

int json_next_noted(struct str container, size_t *pos, struct json_notes *notes,
                    struct str *ret_key, struct str *ret_value)
{
    size_t at = *pos;
    if (!json_next_begins(container, &at)) {
        *pos = at;
        return 0;
    }
    *ret_key = STR_NONE;
    *ret_value = take_value(container, &at, notes);
    /* Only a key is followed by a colon. Looking for the colon is cheaper than asking for the kind
     * of container: its first byte may lie behind any amount of white space. */
    if (at < container.len && container.at[at] == ':') {
        *ret_key = *ret_value;
        at = pass_space(container, at + 1);
        *ret_value = at < container.len ? take_value(container, &at, notes) : STR_NONE;
        if (ret_key->len >= 2)
            *ret_key = (struct str){ret_key->at + 1, ret_key->len - 2};
    }
    *pos = at;
    return 1;
}

static unsigned hex4(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (unsigned)hex_value((unsigned char)digits[i]);
    return value;
}

/* Writes a character; returns the position behind it. */
static char *write_utf8(char *to, unsigned code)
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        to[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char lead_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead_bits[n] | code);
    return to + n;
}

/* Decodes the \u escape, or the two of a surrogate pair, at the start of `rest`, and moves `rest`
 * behind it. The grammar was checked before. NULL for a lone surrogate. */
static char *write_unicode(struct str *rest, char *to)
{
    unsigned code = hex4(rest->at + 2);
    *rest = str_skip(*rest, 6);
    if (code >= 0xdc00 && code < 0xe000)
        return NULL;
    if (code >= 0xd800 && code < 0xdc00) {
        unsigned low = str_starts(*rest, STR("\\u")) ? hex4(rest->at + 2) : 0;
        if (low < 0xdc00 || low >= 0xe000)
            return NULL;
        *rest = str_skip(*rest, 6);
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return write_utf8(to, code);
}

static char *write_escape(struct str *rest, char *to)
{
    static const char control[256] = {
        ['b'] = '\b', ['f'] = '\f', ['n'] = '\n', ['r'] = '\r', ['t'] = '\t'};
    char name = rest->at[1];
    if (name == 'u')
        return write_unicode(rest, to);
    char meaning = control[(unsigned char)name];
    *to = meaning ? meaning : name;
    *rest = str_skip(*rest, 2);
    return to + 1;
}

/* Decodes `rest` to `to`. The output is never longer than the input. Returns its end, or NULL. */
static char *write_plain(struct str rest, char *to)
{
    while (to && rest.len) {
        if (rest.at[0] == '\\') {
            to = write_escape(&rest, to);
            continue;
        }
        const char *escape = memchr(rest.at, '\\', rest.len);
        size_t plain = escape ? (size_t)(escape - rest.at) : rest.len;
        memcpy(to, rest.at, plain);
        rest = str_skip(rest, plain);
        to += plain;
    }
    return to;
}

int json_unescape(struct str raw, struct buf *out)
{
    struct json_scan scan = {.text = raw};
    if (scan_string(&scan) != 0 || scan.at != raw.len)
        return -EINVAL;
    struct str inside = {raw.at + 1, raw.len - 2};
    if (!inside.len)
        return buf_failed(out) ? -ENOMEM : 0;
    char *room = buf_reserve(out, inside.len);
    if (!room)
        return -ENOMEM;
    const char *end = write_plain(inside, room);
    if (!end)
        return -EINVAL;
    out->len += (size_t)(end - room);
    return 0;
}
