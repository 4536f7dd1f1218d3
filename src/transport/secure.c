#include "transport/secure.h"

#include "http/target.h"
#include "transport/forwarding.h"

enum { HTTPS_PORT = 443 };

bool secure_refuses_request(const struct worker *worker, const struct conn *conn,
                            const struct http_head *head)
{
    if (!secure_refuses(conn->door) || conn->door & DOOR_BARE)
        return secure_refuses(conn->door);
    return !forwarding_outside(worker, conn, head).is_secure;
}

/* The port of the same server over TLS: where it listens itself, or the usual one of a proxy. */
static unsigned port_of(const struct exchange *exchange, const struct outside *outside)
{
    unsigned port = exchange->worker->config.https_port;
    return port && !outside->is_forwarded ? port : HTTPS_PORT;
}

/* Adds the query without the credential, which has come in the clear. An answer is noted in more
 * places than a request is, and a client that follows it would go on with a stolen token. */
static void add_query(struct buf *out, struct str query)
{
    struct str name, value;
    char before = '?';
    while (http_query_next(&query, &name, &value)) {
        if (http_query_name_is(name, STR("token")))
            continue;
        buf_add_char(out, before);
        before = '&';
        buf_add_str(out, name);
        if (!value.at)
            continue;
        buf_add_char(out, '=');
        buf_add_str(out, value);
    }
}

/* Adds the URL of the same request over TLS; `port` 0 keeps that of the request. */
static void add_url(struct buf *out, const struct http_head *head, struct str host, unsigned port)
{
    buf_add_lit(out, "https://");
    buf_add_str(out, host);
    if (port && port != HTTPS_PORT)
        buf_addf(out, ":%u", port);
    if (!str_eq(head->path, STR("*")))
        buf_add_str(out, head->path);
    add_query(out, head->query);
}

static void redirect(struct exchange *exchange, const struct http_head *head,
                     const struct outside *outside)
{
    struct response response;
    response_init(&response, 308);
    add_url(response_compose(&response, STR("Location")), head, outside->authority.host,
            port_of(exchange, outside));
    exchange_respond(exchange, &response);
}

void secure_refuse(struct exchange *exchange, const struct conn *conn, const struct http_head *head)
{
    struct buf detail = {0};
    const struct outside outside = forwarding_outside(exchange->worker, conn, head);
    bool redirects = conn->door & DOOR_REDIRECT;
    if (redirects && outside.authority.host.len) {
        redirect(exchange, head, &outside);
        return;
    }
    buf_add_lit(&detail, "this port speaks TLS");
    if (head->host.len) {
        buf_add_lit(&detail, ": use ");
        add_url(&detail, head, head->host, 0);
    }
    exchange_problem(exchange, PROBLEM_BAD_REQUEST, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}
