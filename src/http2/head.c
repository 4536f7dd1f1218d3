#include "http2/head.h"

#include "http/token.h"

/* The bytes of a header line beside its name and value. */
enum { LINE_COST = 4 };

static void add_pseudo(struct http2_head *head, struct str name, struct str value)
{
    static const char *const names[HTTP2_PSEUDOS] = {
        [HTTP2_METHOD] = ":method",       [HTTP2_PATH] = ":path",
        [HTTP2_AUTHORITY] = ":authority", [HTTP2_SCHEME] = ":scheme",
        [HTTP2_PROTOCOL] = ":protocol",
    };
    unsigned which = 0;
    while (which < HTTP2_PSEUDOS && !str_eq(str_from(names[which]), name))
        which++;
    if (which == HTTP2_PSEUDOS || head->places[which].is_there) {
        head->is_broken = true;
        return;
    }
    head->places[which].from = head->pseudo.len;
    head->places[which].len = value.len;
    head->places[which].is_there = true;
    buf_add_str(&head->pseudo, value);
}

static struct str pseudo(const struct http2_head *head, enum http2_pseudo which)
{
    if (!head->places[which].is_there || !head->places[which].len || buf_failed(&head->pseudo))
        return STR_NONE;
    return (struct str){head->pseudo.at + head->places[which].from, head->places[which].len};
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    buf_add_str(out, name);
    buf_add_lit(out, ": ");
    buf_add_str(out, value);
    buf_add_lit(out, "\r\n");
}

static void add_cookie(struct http2_head *head, struct str crumb)
{
    if (head->cookies.len)
        buf_add_lit(&head->cookies, "; ");
    buf_add_str(&head->cookies, crumb);
}

void http2_head_add(struct http2_head *head, struct str name, struct str value, size_t most)
{
    bool is_pseudo = name.len && name.at[0] == ':';
    head->bytes += name.len + value.len + LINE_COST;
    head->is_large = head->is_large || head->bytes > most;
    if (head->is_large)
        return;
    bool good = !value.len || http_all(value, HTTP_CHAR_VALUE);
    if (!good || (!is_pseudo && !http_all(name, HTTP_CHAR_TOKEN)))
        head->is_broken = true;
    else if (is_pseudo)
        add_pseudo(head, name, value);
    else if (str_eq(name, STR("cookie")))
        add_cookie(head, value);
    else if (!str_eq(name, STR("host")) || !str_eq_nocase(value, pseudo(head, HTTP2_AUTHORITY)))
        add_line(&head->fields, name, value); /* a Host that differs is refused as repeated */
}

/* A path as a request must have it (RFC 9113 section 8.3.1). nghttp2 checks that for the schemes of
 * HTTP alone. */
static bool is_path(struct str path)
{
    return !path.len || path.at[0] == '/' || str_eq(path, STR("*"));
}

static bool is_websocket(const struct http2_head *head)
{
    return str_eq(pseudo(head, HTTP2_METHOD), STR("CONNECT")) &&
           str_eq(pseudo(head, HTTP2_PROTOCOL), STR("websocket"));
}

bool http2_head_is_foreign(const struct http2_head *head)
{
    return head->places[HTTP2_PROTOCOL].is_there && !is_websocket(head);
}

static void write_start(struct http2_head *head, bool tunnel)
{
    struct buf *out = &head->text;
    struct str method = pseudo(head, HTTP2_METHOD), path = pseudo(head, HTTP2_PATH);
    buf_add_str(out, tunnel ? STR("GET") : method);
    buf_add_char(out, ' ');
    buf_add_str(out,
                tunnel || !str_eq(method, STR("CONNECT")) ? path : pseudo(head, HTTP2_AUTHORITY));
    buf_add_lit(out, " HTTP/1.1\r\n");
    if (head->places[HTTP2_AUTHORITY].is_there)
        add_line(out, STR("host"), pseudo(head, HTTP2_AUTHORITY));
    if (tunnel)
        buf_add_lit(out, "connection: upgrade\r\nupgrade: websocket\r\n");
}

struct str http2_head_end(struct http2_head *head, bool *ret_tunnel)
{
    *ret_tunnel = is_websocket(head);
    buf_clear(&head->text);
    write_start(head, *ret_tunnel);
    buf_add_str(&head->text, buf_str(&head->fields));
    if (head->cookies.len)
        add_line(&head->text, STR("cookie"), buf_str(&head->cookies));
    buf_add_lit(&head->text, "\r\n");
    bool lost = buf_failed(&head->text) || buf_failed(&head->fields) || buf_failed(&head->pseudo) ||
                buf_failed(&head->cookies);
    return head->is_broken || lost || !is_path(pseudo(head, HTTP2_PATH)) ? STR_NONE
                                                                         : buf_str(&head->text);
}

void http2_head_clear(struct http2_head *head)
{
    buf_clear(&head->pseudo);
    buf_clear(&head->fields);
    buf_clear(&head->cookies);
    memset(head->places, 0, sizeof(head->places));
    head->bytes = 0;
    head->is_large = head->is_broken = false;
}

void http2_head_free(struct http2_head *head)
{
    buf_free(&head->pseudo);
    buf_free(&head->fields);
    buf_free(&head->cookies);
    buf_free(&head->text);
    http2_head_clear(head);
}
