#include "http/head.h"

#include "http/token.h"

#include <errno.h>

static enum http_method find_method(struct str name)
{
    static const struct {
        enum http_method method;
        struct str name;
    } methods[] = {
        {HTTP_POST, {"POST", 4}},       {HTTP_GET, {"GET", 3}},
        {HTTP_HEAD, {"HEAD", 4}},       {HTTP_PUT, {"PUT", 3}},
        {HTTP_PATCH, {"PATCH", 5}},     {HTTP_DELETE, {"DELETE", 6}},
        {HTTP_OPTIONS, {"OPTIONS", 7}}, {HTTP_CONNECT, {"CONNECT", 7}},
        {HTTP_TRACE, {"TRACE", 5}},
    };
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (str_eq(name, methods[i].name))
            return methods[i].method;
    return HTTP_OTHER;
}

static void split_query(struct str path_and_query, struct http_head *head)
{
    head->query = path_and_query;
    head->path = str_cut(&head->query, '?');
}

/* authority-form (RFC 9112 section 3.2.3): only host and port. */
static int read_authority_form(struct http_head *head)
{
    if (http_authority_parse(head->target, &head->authority) || !head->authority.has_port)
        return HTTP_E_TARGET;
    head->host = head->target;
    head->path = (struct str){head->target.at + head->target.len, 0};
    return 0;
}

/* absolute-form (section 3.2.2): meant for proxies, but every server must accept it. */
static int read_absolute_form(struct http_head *head)
{
    const struct str schemes[] = {STR("http://"), STR("https://")};
    struct str rest = STR_NONE;
    for (size_t i = 0; i < 2; i++)
        if (head->target.len > schemes[i].len &&
            str_eq_nocase((struct str){head->target.at, schemes[i].len}, schemes[i]))
            rest = str_skip(head->target, schemes[i].len);
    size_t len = 0;
    while (len < rest.len && rest.at[len] != '/' && rest.at[len] != '?')
        len++;
    head->host = (struct str){rest.at, len};
    if (http_authority_parse(head->host, &head->authority))
        return HTTP_E_TARGET;
    split_query(str_skip(rest, len), head);
    if (!head->path.len) /* OPTIONS without a path: section 3.2.4 */
        head->path = head->method == HTTP_OPTIONS && !head->query.at ? STR("*") : STR("/");
    return 0;
}

static int read_target(struct http_head *head)
{
    head->query = head->host = STR_NONE;
    if (head->method == HTTP_CONNECT)
        return read_authority_form(head);
    if (head->target.at[0] == '/') {
        split_query(head->target, head);
        return 0;
    }
    if (str_eq(head->target, STR("*")) && head->method == HTTP_OPTIONS) {
        head->path = head->target;
        return 0;
    }
    return read_absolute_form(head);
}

/* Takes `len` bytes off the front of `*line`, and the single space behind them. */
static int take_part(struct str *line, size_t len, int wrong, struct str *ret)
{
    if (len == line->len)
        return HTTP_E_START_LINE;
    if (line->at[len] == '\r')
        return HTTP_E_LINE_END;
    if (line->at[len] != ' ')
        return wrong;
    if (len == 0)
        return HTTP_E_START_LINE;
    *ret = (struct str){line->at, len};
    *line = str_skip(*line, len + 1);
    return 0;
}

int http_request_line_parse(struct str line, struct http_head *head)
{
    int error = take_part(&line, http_token_len(line), HTTP_E_METHOD, &head->method_raw);
    if (!error)
        error = take_part(&line, http_target_len(line), HTTP_E_TARGET, &head->target);
    if (!error)
        error = http_version_parse(line, &head->minor);
    if (error)
        return error;
    head->method = find_method(head->method_raw);
    return read_target(head);
}

static int read_host(struct http_head *head)
{
    struct http_authority authority;
    struct str host = STR_NONE, second;
    size_t pos = 0;
    if (!http_header_next(head, STR("host"), &pos, &host))
        return head->minor == 0 ? 0 : HTTP_E_HOST_MISSING;
    if (http_header_next(head, STR("host"), &pos, &second))
        return HTTP_E_HOST_REPEATED;
    if (http_authority_parse(host, &authority))
        return HTTP_E_HOST;
    if (!head->host.at) {
        head->host = host;
        head->authority = authority;
    }
    return 0;
}

/* Reads Expect and Upgrade, which HTTP/1.0 does not have (RFC 9110 sections 7.8 and 10.1.1). */
static int read_wishes(struct http_head *head)
{
    struct str value;
    head->expect_continue = head->upgrade_websocket = false;
    if (head->minor == 0)
        return 0;
    for (size_t pos = 0; http_header_next(head, STR("expect"), &pos, &value);) {
        if (!str_eq_nocase(value, STR("100-continue")))
            return HTTP_E_EXPECT;
        head->expect_continue = head->framing.chunked || head->framing.content_length > 0;
    }
    head->upgrade_websocket =
        http_fields_list_has(&head->fields, STR("upgrade"), STR("websocket")) &&
        http_fields_list_has(&head->fields, STR("connection"), STR("upgrade"));
    return 0;
}

int http_head_parse(struct str bytes, const struct http_limits *limits, struct http_scan *scan,
                    struct http_head *ret_head)
{
    struct http_extent extent;
    int error = http_scan(scan, bytes, limits, &extent);
    if (error)
        return error;
    struct str line = {bytes.at + extent.start, extent.fields - extent.start - 2};
    struct str lines = {bytes.at + extent.fields, extent.size - extent.fields - 2};
    error = http_request_line_parse(line, ret_head);
    if (!error)
        error = http_fields_parse(lines, limits, &ret_head->fields);
    if (!error)
        error = http_framing_read(&ret_head->fields, ret_head->minor, &ret_head->framing);
    if (!error)
        error = read_host(ret_head);
    if (!error)
        error = read_wishes(ret_head);
    ret_head->size = extent.size;
    return error;
}

bool http_asks_head(struct str bytes)
{
    while (bytes.len && (bytes.at[0] == '\r' || bytes.at[0] == '\n'))
        bytes = str_skip(bytes, 1);
    return str_starts(bytes, STR("HEAD "));
}

bool http_head_ended(struct str bytes)
{
    return bytes.len && memmem(bytes.at, bytes.len, "\r\n\r\n", 4);
}
