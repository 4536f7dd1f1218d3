#include "http/fields.h"

#include "http/token.h"

#include <errno.h>

/* Indexed by enum http_head_error. */
static const struct {
    int status;
    const char *detail;
} errors[HTTP_E_COUNT] = {
    [0] = {400, "The request is not HTTP/1.1."},
    [HTTP_E_LINE_END] = {400, "A CR or LF stands alone; lines end with CRLF."},
    [HTTP_E_EMPTY_LINES] = {400, "There are too many empty lines before the request line."},
    [HTTP_E_LINE_TOO_LONG] = {414, "The request line is too long; shorten the URL, for example by "
                                   "selecting with patterns instead of many channels."},
    [HTTP_E_TOO_LARGE] = {431, "The header section is too large."},
    [HTTP_E_TOO_MANY] = {431, "There are too many header fields."},
    [HTTP_E_START_LINE] = {400, "The first line is not METHOD TARGET HTTP/1.1 with single spaces."},
    [HTTP_E_METHOD] = {400, "The method is not a token."},
    [HTTP_E_TARGET] = {400, "The request target is not a path or URL in printable ASCII without "
                            "'#'; percent-encode other bytes."},
    [HTTP_E_VERSION_SYNTAX] = {400, "The version is not written as HTTP/1.1."},
    [HTTP_E_VERSION] = {505, "The version is neither HTTP/1.1 nor HTTP/1.0."},
    [HTTP_E_STATUS] = {400, "The status line is not HTTP/1.1 STATUS REASON."},
    [HTTP_E_FOLDED] = {400, "A header line begins with white space; folded lines are obsolete."},
    [HTTP_E_NAME] = {400, "A header line is not a token, a colon right behind it, and a value."},
    [HTTP_E_VALUE] = {400, "A header value contains a control character."},
    [HTTP_E_HOST_MISSING] = {400, "The Host header is missing; HTTP/1.1 demands exactly one."},
    [HTTP_E_HOST_REPEATED] = {400, "There is more than one Host header."},
    [HTTP_E_HOST] = {400, "The Host header is not a host name or address with an optional port."},
    [HTTP_E_LENGTH] = {400, "Content-Length is not a decimal number that fits."},
    [HTTP_E_LENGTH_REPEATED] = {400, "There is more than one Content-Length header."},
    [HTTP_E_ENCODING] = {400, "Transfer-Encoding is not exactly chunked, given once."},
    [HTTP_E_CODING] = {501, "Transfer-Encoding names a compression, which is not spoken here: send "
                            "chunked alone."},
    [HTTP_E_ENCODING_AND_LENGTH] = {400,
                                    "Transfer-Encoding and Content-Length exclude each other."},
    [HTTP_E_ENCODING_1_0] = {400, "Transfer-Encoding does not exist in HTTP/1.0."},
    [HTTP_E_EXPECT] = {417, "The only expectation that can be met is 100-continue."},
};

static int error_index(int error)
{
    return error > 0 && error < HTTP_E_COUNT ? error : 0;
}

int http_head_error_status(int error)
{
    return errors[error_index(error)].status;
}

struct str http_head_error_detail(int error)
{
    return str_from(errors[error_index(error)].detail);
}

/* Skips the empty lines before a start line and checks its first byte. A client of another protocol
 * is then refused at once, not after the time for a head. */
static int find_start(struct str bytes, size_t *ret)
{
    size_t at = 0;
    for (; at < bytes.len && bytes.at[at] == '\r'; at += 2) {
        if (at + 1 == bytes.len)
            return -EAGAIN;
        if (bytes.at[at + 1] != '\n')
            return HTTP_E_LINE_END;
        if (at / 2 == HTTP_EMPTY_LINES_MAX)
            return HTTP_E_EMPTY_LINES;
    }
    if (at == bytes.len)
        return -EAGAIN;
    *ret = at;
    if (bytes.at[at] == '\n')
        return HTTP_E_LINE_END;
    return http_char_is(bytes.at[at], HTTP_CHAR_TOKEN) ? 0 : HTTP_E_START_LINE;
}

/* Finds the next LF, from scan->at on and before `limit`. */
static int next_line_end(struct http_scan *scan, struct str bytes, size_t limit, size_t *ret)
{
    size_t end = bytes.len < limit ? bytes.len : limit;
    const char *found = memchr(bytes.at + scan->at, '\n', end - scan->at);
    if (!found) {
        scan->at = (uint32_t)end;
        if (end < limit)
            return -EAGAIN;
        return scan->fields ? HTTP_E_TOO_LARGE : HTTP_E_LINE_TOO_LONG;
    }
    *ret = (size_t)(found - bytes.at);
    scan->at = (uint32_t)(*ret + 1);
    return found[-1] == '\r' ? 0 : HTTP_E_LINE_END;
}

int http_scan(struct http_scan *scan, struct str bytes, const struct http_limits *limits,
              struct http_extent *ret)
{
    size_t start, lf;
    int error = find_start(bytes, &start);
    if (error)
        return error;
    if (scan->at <= start)
        scan->at = (uint32_t)start + 1;
    if (!scan->fields) {
        error = next_line_end(scan, bytes, start + limits->line_max + 2, &lf);
        if (error)
            return error;
        scan->fields = (uint32_t)lf + 1;
    }
    do {
        error = next_line_end(scan, bytes, (size_t)scan->fields + limits->section_max, &lf);
        if (error)
            return error;
    } while (bytes.at[lf - 2] != '\n');
    *ret = (struct http_extent){(uint32_t)start, scan->fields, (uint32_t)lf + 1};
    *scan = (struct http_scan){0};
    return 0;
}

/* Reads one header line off the front of `*rest`. */
static int parse_field(struct str *rest, struct http_field *ret)
{
    const char *at = rest->at, *end = rest->at + rest->len;
    if (*at == ' ' || *at == '\t')
        return HTTP_E_FOLDED;
    while (at < end && http_char_is(*at, HTTP_CHAR_TOKEN))
        at++;
    if (at == rest->at || at == end || *at != ':')
        return HTTP_E_NAME;
    ret->name = (struct str){rest->at, (size_t)(at - rest->at)};
    ret->sort = http_field_sort(ret->name);
    const char *value = ++at;
    at += http_value_len((struct str){value, (size_t)(end - value)});
    if (at == end || (*at != '\r' && *at != '\n'))
        return HTTP_E_VALUE;
    if (*at == '\n' || at + 1 == end || at[1] != '\n')
        return HTTP_E_LINE_END;
    ret->value = str_trim((struct str){value, (size_t)(at - value)});
    *rest = (struct str){at + 2, (size_t)(end - at) - 2};
    return 0;
}

int http_fields_parse(struct str lines, const struct http_limits *limits, struct http_fields *ret)
{
    ret->count = 0;
    ret->sorts = ret->repeats = 0;
    while (lines.len) {
        if (ret->count == limits->fields_max || ret->count == HTTP_FIELDS_MAX)
            return HTTP_E_TOO_MANY;
        int error = parse_field(&lines, &ret->at[ret->count]);
        if (error)
            return error;
        uint64_t sort = UINT64_C(1) << ret->at[ret->count].sort;
        ret->repeats |= ret->sorts & sort;
        ret->sorts |= sort;
        ret->count++;
    }
    return 0;
}

bool http_fields_find_next(const struct http_fields *fields, struct str lowercase_name, size_t *pos,
                           struct str *ret_value)
{
    unsigned sort = http_field_sort(lowercase_name);
    while (*pos < fields->count) {
        const struct http_field *field = &fields->at[(*pos)++];
        if (field->sort == sort && str_eq_nocase(field->name, lowercase_name)) {
            *ret_value = field->value;
            return true;
        }
    }
    return false;
}

struct str http_fields_find(const struct http_fields *fields, struct str lowercase_name)
{
    struct str value = STR_NONE;
    size_t pos = 0;
    (void)http_fields_find_next(fields, lowercase_name, &pos, &value);
    return value;
}

bool http_fields_list_has(const struct http_fields *fields, struct str lowercase_name,
                          struct str element)
{
    struct str value, item;
    for (size_t pos = 0; http_fields_next(fields, lowercase_name, &pos, &value);)
        while (http_list_next(&value, &item))
            if (str_eq_nocase(item, element))
                return true;
    return false;
}

static int read_length(struct str value, struct http_framing *framing)
{
    if (framing->has_content_length)
        return HTTP_E_LENGTH_REPEATED;
    framing->has_content_length = true;
    return http_number(value, &framing->content_length) ? HTTP_E_LENGTH : 0;
}

/* Whether the list holds registered codings (RFC 9112 section 7) in an order that is allowed:
 * compressions in any order, then `chunked`. */
static bool are_codings(struct str list)
{
    static const char *const compressions[] = {"gzip", "x-gzip", "deflate", "compress",
                                               "x-compress"};
    bool known = false, ended = false;
    while (list.at) {
        struct str coding = str_trim(str_cut(&list, ','));
        if (ended)
            return false;
        ended = str_eq_nocase(coding, STR("chunked"));
        known = ended && known;
        for (size_t i = 0; i < sizeof(compressions) / sizeof(compressions[0]); i++)
            known |= str_eq_nocase(coding, str_from(compressions[i]));
        if (!known)
            return false;
    }
    return known;
}

static int read_encoding(struct str value, struct http_framing *framing)
{
    if (!framing->chunked && are_codings(value))
        return HTTP_E_CODING;
    if (framing->chunked || !str_eq_nocase(value, STR("chunked")))
        return HTTP_E_ENCODING;
    framing->chunked = true;
    return 0;
}

int http_framing_read(const struct http_fields *fields, int minor, struct http_framing *ret)
{
    struct http_framing framing = {0};
    bool close = false, keep = minor > 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct http_field *field = &fields->at[i];
        struct str list = field->value, item;
        int error = 0;
        if (http_field_is(field, STR("content-length")))
            error = read_length(field->value, &framing);
        else if (http_field_is(field, STR("transfer-encoding")))
            error = read_encoding(field->value, &framing);
        else if (http_field_is(field, STR("connection")))
            while (http_list_next(&list, &item)) {
                close |= str_eq_nocase(item, STR("close"));
                keep |= str_eq_nocase(item, STR("keep-alive"));
            }
        if (error)
            return error;
    }
    if (framing.chunked && minor == 0)
        return HTTP_E_ENCODING_1_0;
    if (framing.chunked && framing.has_content_length)
        return HTTP_E_ENCODING_AND_LENGTH;
    framing.keep_alive = keep && !close;
    *ret = framing;
    return 0;
}

int http_version_parse(struct str text, int *ret_minor)
{
    const char *at = text.at;
    if (text.len != 8 || !str_starts(text, STR("HTTP/")) || at[6] != '.' || at[5] < '0' ||
        at[5] > '9' || at[7] < '0' || at[7] > '9')
        return HTTP_E_VERSION_SYNTAX;
    if (at[5] != '1')
        return HTTP_E_VERSION;
    *ret_minor = at[7] > '0';
    return 0;
}
