#include "api/called.h"

#include "transport/forwarding.h"

static struct outside outside_of(const struct exchange *exchange)
{
    const struct conn *conn = exchange_conn(exchange);
    return conn ? forwarding_outside(exchange->worker, conn, exchange->head)
                : (struct outside){.authority = exchange->head->authority};
}

/* An authority that was read has nothing in it that HTML or JSON would have to escape. */
bool called_add_host(struct buf *out, const struct exchange *exchange, struct str otherwise)
{
    const struct outside outside = outside_of(exchange);
    const struct http_authority *authority = &outside.authority;
    bool is_known = authority->host.len;
    buf_add_str(out, is_known ? authority->host : otherwise);
    if (is_known && authority->has_port)
        buf_addf(out, ":%u", authority->port);
    return outside.is_secure;
}

void called_add_origin(struct buf *out, const struct exchange *exchange, struct str base)
{
    struct buf host = {0};
    bool is_secure = called_add_host(&host, exchange, STR("localhost:7070"));
    buf_add_str(out, is_secure ? STR("https://") : STR("http://"));
    buf_add_str(out, buf_str(&host));
    buf_add_str(out, base);
    out->failed |= buf_failed(&host);
    buf_free(&host);
}
