#include "transport/secure.h"

enum { HTTPS_PORT = 443 };

/* Adds the URL of the same request over TLS; `port` 0 keeps that of the request. */
static void add_url(struct buf *out, const struct http_head *head, unsigned port)
{
    buf_add_lit(out, "https://");
    if (port)
        buf_add_str(out, head->authority.host);
    else
        buf_add_str(out, head->host);
    if (port && port != HTTPS_PORT)
        buf_addf(out, ":%u", port);
    if (!str_eq(head->path, STR("*")))
        buf_add_str(out, head->path);
    if (head->query.at) {
        buf_add_char(out, '?');
        buf_add_str(out, head->query);
    }
}

static void redirect(struct exchange *exchange, const struct http_head *head)
{
    struct response response;
    response_init(&response, 308);
    add_url(response_compose(&response, STR("Location")), head,
            exchange->worker->config.https_port);
    exchange_respond(exchange, &response);
}

void secure_refuse(struct exchange *exchange, const struct http_head *head, uint8_t door)
{
    struct buf detail = {0};
    if (door & DOOR_REDIRECT && head->host.len) {
        redirect(exchange, head);
        return;
    }
    buf_add_lit(&detail, "this port speaks TLS");
    if (head->host.len) {
        buf_add_lit(&detail, ": use ");
        add_url(&detail, head, door & DOOR_REDIRECT ? exchange->worker->config.https_port : 0);
    }
    exchange_problem(exchange, PROBLEM_BAD_REQUEST, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}
