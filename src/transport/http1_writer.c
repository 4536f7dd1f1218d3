#include "transport/http1_writer.h"

#include "http/http1_response.h"

/* Proxies and clients keep idle connections for later requests. Keep-Alive says when we close
 * ours, so that no request is sent into one that is about to be closed. */
static void add_connection(struct buf *out, const struct pipelined *asked,
                           const struct response *response)
{
    int64_t idle_s = asked->exchange.worker->config.limits.idle_ms / 1000;
    if (!asked->keep_alive && response->status >= 200) {
        buf_add_lit(out, "Connection: close\r\n");
        return;
    }
    if (asked->http10)
        buf_add_lit(out, "Connection: keep-alive\r\n");
    if (response->status < 200 || response->goes_on || !idle_s)
        return;
    buf_add_lit(out, "Keep-Alive: timeout=");
    buf_add_u64(out, (uint64_t)idle_s);
    buf_add_lit(out, "\r\n");
}

static void add_head(struct buf *out, const struct pipelined *asked,
                     const struct response *response)
{
    http1_response_start(out, response->status);
    for (unsigned i = 0; i < response->count; i++)
        http1_response_header(out, response->fields[i].name, response_value(response, i));
    if (response->type.len)
        http1_response_header(out, STR("Content-Type"), response->type);
    add_connection(out, asked, response);
    if (response_failed(response))
        out->failed = true;
}

/* Most responses have only the fields of every response, so the head of one publish's answer serves
 * all others of the same second. */
static bool is_usual(const struct pipelined *asked, const struct response *response)
{
    return response->count == EXCHANGE_FIELDS && response->fields[0].len == HTTP_DATE_LEN &&
           asked->keep_alive && !asked->http10 && !response->bodiless && !response->goes_on &&
           response->type.len <= sizeof(asked->exchange.worker->usual_head.type) &&
           !response_failed(response);
}

static bool is_known(const struct http1_head *head, const struct response *response)
{
    return head->text.len && head->status == response->status &&
           str_eq((struct str){head->type, head->type_len}, response->type) &&
           memcmp(head->date, response->fields[0].at, HTTP_DATE_LEN) == 0;
}

static void learn(struct http1_head *head, const struct pipelined *asked,
                  const struct response *response)
{
    buf_clear(&head->text);
    add_head(&head->text, asked, response);
    buf_add_lit(&head->text, "Content-Length: ");
    head->status = response->status;
    head->type_len = response->type.len;
    if (head->type_len)
        memcpy(head->type, response->type.at, head->type_len);
    memcpy(head->date, response->fields[0].at, HTTP_DATE_LEN);
    if (buf_failed(&head->text))
        buf_free(&head->text);
}

/* Returns false if there was no memory for it. */
static bool add_usual_head(struct buf *out, const struct pipelined *asked,
                           const struct response *response)
{
    struct http1_head *head = &asked->exchange.worker->usual_head;
    if (!is_known(head, response))
        learn(head, asked, response);
    if (!head->text.len)
        return false;
    buf_add_str(out, buf_str(&head->text));
    buf_add_u64(out, response_length(response));
    buf_add_lit(out, "\r\n");
    return true;
}

static void add_sized_head(struct buf *out, const struct pipelined *asked,
                           const struct response *response)
{
    if (is_usual(asked, response) && add_usual_head(out, asked, response))
        return;
    add_head(out, asked, response);
    if (!response->bodiless)
        http1_response_header_u64(out, STR("Content-Length"), response_length(response));
}

void http1_write(struct buf *out, const struct pipelined *asked, const struct response *response)
{
    add_sized_head(out, asked, response);
    http1_response_end(out);
    if (response->bodiless || asked->exchange.is_head)
        return;
    for (int i = 0; i < RESPONSE_PARTS; i++)
        buf_add_str(out, response->body[i]);
}

void http1_write_open(struct buf *out, const struct pipelined *asked,
                      const struct response *response)
{
    add_head(out, asked, response);
    if (response->goes_on && asked->exchange.chunked)
        buf_add_lit(out, "Transfer-Encoding: chunked\r\n");
    http1_response_end(out);
}

void http1_busy(struct buf *out, struct str base, enum problem problem, struct str detail)
{
    struct buf document = {0};
    problem_add(&document, base, problem, detail, STR_NONE);
    http1_response_start(out, problem_status(problem));
    http1_response_header(out, STR("Retry-After"), STR("1"));
    http1_response_header(out, STR("Content-Type"), STR("application/problem+json"));
    http1_response_header(out, STR("Connection"), STR("close"));
    http1_response_header_u64(out, STR("Content-Length"), buf_failed(&document) ? 0 : document.len);
    http1_response_end(out);
    buf_add_str(out, buf_str(&document));
    buf_free(&document);
}
