#include "http/http1_response.h"

#include "http/token.h"

/* Statuses that we send, or that our client may name, in order. */
static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

struct str http_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].status == status)
            return str_from(reasons[i].reason);
    return STR("");
}

void http1_response_start(struct buf *buf, int status)
{
    buf_add_lit(buf, "HTTP/1.1 ");
    buf_add_u64(buf, (uint64_t)status);
    buf_add_char(buf, ' ');
    buf_add_str(buf, http_reason(status));
    buf_add_lit(buf, "\r\n");
}

static void add_value(struct buf *buf, struct str value)
{
    if (http_all(value, HTTP_CHAR_VALUE)) {
        buf_add_str(buf, value);
        return;
    }
    for (size_t i = 0; i < value.len; i++)
        buf_add_char(buf, http_char_is(value.at[i], HTTP_CHAR_VALUE) ? value.at[i] : ' ');
}

void http1_response_header(struct buf *buf, struct str name, struct str value)
{
    if (!http_all(name, HTTP_CHAR_TOKEN)) {
        buf->failed = true;
        return;
    }
    buf_add_str(buf, name);
    buf_add_lit(buf, ": ");
    add_value(buf, value);
    buf_add_lit(buf, "\r\n");
}

void http1_response_header_u64(struct buf *buf, struct str name, uint64_t value)
{
    char digits[20];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    http1_response_header(buf, name, (struct str){digits + at, sizeof(digits) - at});
}

void http1_response_end(struct buf *buf)
{
    buf_add_lit(buf, "\r\n");
}

void http1_response_body(struct buf *buf, struct str body)
{
    http1_response_header_u64(buf, STR("Content-Length"), body.len);
    http1_response_end(buf);
    buf_add_str(buf, body);
}

void http1_response_continue(struct buf *buf)
{
    http1_response_start(buf, 100);
    http1_response_end(buf);
}

/* HTTP/1.1 SP 200 SP [reason] */
static int read_status_line(struct str line, struct http_status *ret)
{
    uint64_t status;
    struct str rest = line;
    struct str version = str_cut(&rest, ' ');
    int error = http_version_parse(version, &ret->minor);
    if (error)
        return error;
    if (rest.len < 4 || rest.at[3] != ' ' || http_number((struct str){rest.at, 3}, &status))
        return HTTP_E_STATUS;
    ret->reason = str_skip(rest, 4);
    if (status < 100 || status > 599)
        return HTTP_E_STATUS;
    if (ret->reason.len && !http_all(ret->reason, HTTP_CHAR_VALUE))
        return HTTP_E_STATUS;
    ret->status = (int)status;
    ret->no_body = status < 200 || status == 204 || status == 304;
    return 0;
}

int http_status_parse(struct str bytes, const struct http_limits *limits, struct http_scan *scan,
                      struct http_status *ret)
{
    struct http_extent extent;
    int error = http_scan(scan, bytes, limits, &extent);
    if (error)
        return error;
    struct str line = {bytes.at + extent.start, extent.fields - extent.start - 2};
    struct str lines = {bytes.at + extent.fields, extent.size - extent.fields - 2};
    error = read_status_line(line, ret);
    if (!error)
        error = http_fields_parse(lines, limits, &ret->fields);
    if (!error)
        error = http_framing_read(&ret->fields, ret->minor, &ret->framing);
    ret->size = extent.size;
    return error;
}
