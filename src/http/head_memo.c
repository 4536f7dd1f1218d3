#include "http/head_memo.h"

#include "http/token.h"

/* To remember a head costs about as much as to parse it. Once the memo is full, one in so many
 * unknown heads is remembered: enough for a client that repeats its own, and little for many
 * clients that take turns. */
enum { REMEMBERED_EACH = 16 };

/* ---- heads that are remembered --------------------------------------------------------------- */

static bool take_same(struct str *rest, const char *at, size_t len)
{
    if (rest->len < len || memcmp(rest->at, at, len) != 0)
        return false;
    *rest = str_skip(*rest, len);
    return true;
}

/* Takes a value that is not remembered, up to the end of its line, which take_same() compares. */
static struct str take_value(struct str *rest)
{
    struct str value = {rest->at, http_value_len(*rest)};
    *rest = str_skip(*rest, value.len);
    return str_trim(value);
}

/* Takes lines off the front of `*rest` that equal the remembered ones but for the values. */
static bool take_lines(const struct http_remembered *known, struct str *rest,
                       struct str *ret_values)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < known->values_count; i++) {
        if (!take_same(rest, known->lines + at, known->values[i].at - at))
            return false;
        at = known->values[i].at;
        ret_values[i] = take_value(rest);
    }
    return known->len && take_same(rest, known->lines + at, known->len - at);
}

/* Puts values into their fields. False: http_head_parse() has to say what is wrong with one. */
static bool put_values(struct http_remembered *known, const struct str *values)
{
    struct http_head *head = &known->head;
    for (uint32_t i = 0; i < known->values_count; i++) {
        struct http_field *field = &head->fields.at[known->values[i].field];
        field->value = values[i];
        if (http_field_is(field, STR("content-length")) &&
            http_number(values[i], &head->framing.content_length))
            return false;
    }
    return true;
}

/* Puts the request line before remembered lines. False when only http_head_parse() can say what
 * that makes: a host in the target, HTTP/1.0, or an error. */
static bool put_line(struct http_remembered *known, struct str line)
{
    struct http_head *head = &known->head;
    if (http_request_line_parse(line, head) || head->target.at[0] != '/' || head->minor == 0)
        return false;
    head->host = known->host;
    head->authority = known->authority;
    return true;
}

/* The head in front of `bytes`, whose lines begin at `from`; NULL if they are not remembered. */
static const struct http_head *recall(struct http_remembered *known, struct str bytes, size_t from,
                                      const struct http_limits *limits)
{
    struct str rest = str_skip(bytes, from), line = {bytes.at, from - 2};
    struct str values[HTTP_MEMO_VALUES] = {STR_NONE};
    if (!take_lines(known, &rest, values) || bytes.len - rest.len - from > limits->section_max ||
        !put_values(known, values) || !put_line(known, line))
        return NULL;
    known->head.size = bytes.len - rest.len;
    return &known->head;
}

/* The offset of the header lines, if the request line stands in front of `bytes`; else 0. */
static size_t find_lines(struct str bytes, const struct http_limits *limits)
{
    size_t most = (size_t)limits->line_max + 2, end = bytes.len < most ? bytes.len : most;
    const char *lf = end ? memchr(bytes.at, '\n', end) : NULL;
    return lf && lf > bytes.at && lf[-1] == '\r' ? (size_t)(lf - bytes.at) + 1 : 0;
}

static const struct http_head *find(struct http_memo *memo, struct str bytes,
                                    const struct http_limits *limits)
{
    size_t from = find_lines(bytes, limits);
    for (unsigned i = 0; from && i < HTTP_MEMO_HEADS; i++) {
        unsigned at = (memo->last + i) % HTTP_MEMO_HEADS;
        const struct http_head *head = recall(&memo->at[at], bytes, from, limits);
        if (!head)
            continue;
        memo->last = at;
        return head;
    }
    return NULL;
}

/* ---- heads that will be ---------------------------------------------------------------------- */

/* The fields whose values are remembered: none is a secret, and with Content-Length they are all
 * from which http_head_parse() concludes anything. */
#define KEPT(name)                                                                                 \
    {                                                                                              \
        name, sizeof(name) - 1                                                                     \
    }
static const struct str kept[] = {
    KEPT("host"),
    KEPT("connection"),
    KEPT("content-type"),
    KEPT("content-encoding"),
    KEPT("accept"),
    KEPT("transfer-encoding"),
    KEPT("accept-encoding"),
    KEPT("accept-language"),
    KEPT("user-agent"),
    KEPT("upgrade"),
    KEPT("keep-alive"),
    KEPT("cache-control"),
    KEPT("pragma"),
    KEPT("origin"),
    KEPT("te"),
    KEPT("priority"),
    KEPT("sec-fetch-dest"),
    KEPT("sec-fetch-mode"),
    KEPT("sec-fetch-site"),
};
#undef KEPT

static bool is_kept(const struct http_field *field)
{
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        if (str_eq_nocase(field->name, kept[i]))
            return true;
    return false;
}

/* Whether nothing but the lines and their values decides what the lines mean. */
static bool may_repeat(const struct http_head *head, size_t len)
{
    return head->method == HTTP_POST && head->minor > 0 && head->target.at[0] == '/' &&
           len <= HTTP_MEMO_BYTES && !http_header(head, STR("expect")).at;
}

/* Lines while they are copied, without the values that are left out. */
struct copying {
    struct http_remembered *known;
    const char *from; /* up to here they were copied */
};

/* The place in the copy of a text behind `from` and before the next value that is left out. */
static struct str moved(const struct copying *copying, struct str text)
{
    const char *to = copying->known->lines + copying->known->len;
    return (struct str){to + (text.at - copying->from), text.len};
}

static void copy(struct copying *copying, const char *end)
{
    struct http_remembered *known = copying->known;
    size_t len = (size_t)(end - copying->from);
    memcpy(known->lines + known->len, copying->from, len);
    known->len += (uint32_t)len;
    copying->from = end;
}

/* Copies up to the colon of a field whose value is left out. */
static void leave_value_out(struct copying *copying, const struct http_field *field, size_t i)
{
    struct http_remembered *known = copying->known;
    const char *colon = field->name.at + field->name.len;
    copy(copying, colon + 1);
    known->values[known->values_count].at = known->len;
    known->values[known->values_count++].field = (uint32_t)i;
    while (*copying->from != '\r') /* no value contains one */
        copying->from++;
}

static void copy_host(const struct copying *copying, const struct http_head *head)
{
    copying->known->authority = head->authority;
    copying->known->authority.host = moved(copying, head->authority.host);
    copying->known->host = moved(copying, head->host);
}

/* Copies the fields. False if too many values would be left out. */
static bool copy_fields(struct copying *copying, const struct http_head *head)
{
    struct http_remembered *known = copying->known;
    for (size_t i = 0; i < head->fields.count; i++) {
        const struct http_field *field = &head->fields.at[i];
        bool keep = is_kept(field);
        if (!keep && known->values_count == HTTP_MEMO_VALUES)
            return false;
        known->head.fields.at[i] =
            (struct http_field){.name = moved(copying, field->name),
                                .value = keep ? moved(copying, field->value) : STR_NONE,
                                .sort = field->sort};
        if (http_field_is(field, STR("host")))
            copy_host(copying, head);
        if (!keep)
            leave_value_out(copying, field, i);
    }
    return true;
}

/* Remembers a head whose lines stand in [from, end). */
static void remember(struct http_remembered *known, const struct http_head *head, const char *from,
                     const char *end)
{
    struct copying copying = {known, from};
    known->len = known->values_count = 0;
    if (!copy_fields(&copying, head)) {
        known->len = 0;
        return;
    }
    copy(&copying, end);
    known->head.framing = head->framing;
    known->head.expect_continue = head->expect_continue;
    known->head.upgrade_websocket = head->upgrade_websocket;
    known->head.fields.count = head->fields.count;
    known->head.fields.sorts = head->fields.sorts;
    known->head.fields.repeats = head->fields.repeats;
}

/* The offset of the header lines in the bytes of which a head was made: behind the line of its
 * target. */
static size_t lines_of(struct str bytes, const struct http_head *head)
{
    size_t target_end = (size_t)(head->target.at - bytes.at) + head->target.len;
    return target_end + sizeof(" HTTP/1.1\r\n") - 1;
}

int http_memo_parse(struct http_memo *memo, struct str bytes, const struct http_limits *limits,
                    struct http_scan *scan, const struct http_head **ret_head)
{
    const struct http_head *known = scan->at ? NULL : find(memo, bytes, limits);
    *ret_head = known ? known : &memo->head;
    if (known)
        return 0;
    int error = http_head_parse(bytes, limits, scan, &memo->head);
    if (error)
        return error;
    size_t from = lines_of(bytes, &memo->head), size = memo->head.size;
    bool is_full = memo->next >= HTTP_MEMO_HEADS;
    if (may_repeat(&memo->head, size - from) && (!is_full || !(++memo->unknown % REMEMBERED_EACH)))
        remember(&memo->at[memo->next++ % HTTP_MEMO_HEADS], &memo->head, bytes.at + from,
                 bytes.at + size);
    return 0;
}
