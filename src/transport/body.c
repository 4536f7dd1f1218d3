#include "transport/body.h"

#include "http/accept.h"
#include "transport/checked.h"

#include <errno.h>

/* Bytes by which a compressed body is decompressed at a time, and the charge for that, so low that
 * mostly the time decides. */
enum { GZIP_PIECE = 32 << 10, GZIP_PIECE_COST = BUDGET_STRIDE };

struct request_body *body_take(struct request_stream *request)
{
    struct stream_intake *intake = request->intake;
    if (intake->body)
        return intake->body;
    intake->body = mem_try_alloc(sizeof(*intake->body));
    if (intake->body)
        *intake->body = (struct request_body){.decoded = {0}};
    return intake->body;
}

bool body_has_foreign_coding(const struct http_head *head)
{
    return http_coding_of(&head->fields) == HTTP_CODING_OTHER;
}

/* Decompression may take many turns. Keep the compressed body in a buffer of its own, so that bytes
 * that arrive meanwhile do not move it. */
static int begin_gzip(struct request_stream *request, struct str received)
{
    struct request_body *body = body_take(request);
    if (!body)
        return -ENOMEM;
    if (!body->whole)
        buf_add_str(&body->decoded, received);
    body->whole = true;
    return buf_failed(&body->decoded) || http_gzip_begin(&body->gzip) ? -ENOMEM : 0;
}

/* Decompresses on, within the budget. */
static int undo_gzip(struct worker *worker, struct request_body *body)
{
    size_t max = worker->config.limits.body_max;
    int result;
    while ((result = http_gzip_some(&body->gzip, buf_str(&body->decoded), GZIP_PIECE, max,
                                    &body->plain)) == -EAGAIN)
        if (!worker_spend(worker, GZIP_PIECE_COST))
            return -EAGAIN;
    http_gzip_end(&body->gzip);
    body->is_plain = !result;
    return !result || result == -EMSGSIZE || result == -ENOMEM ? result : -EBADMSG;
}

/* Undoes the content coding of a complete body. */
static int decode(struct request_stream *request, const struct http_head *head, struct str *body)
{
    if (!body->len || http_coding_of(&head->fields) != HTTP_CODING_GZIP)
        return 0;
    const struct request_body *known = request->intake->body;
    int result = 0;
    if (!known || (!known->is_plain && !known->gzip.stream))
        result = begin_gzip(request, *body);
    struct request_body *coded = request->intake->body;
    if (!result && !coded->is_plain)
        result = undo_gzip(request->worker, coded);
    if (!result)
        *body = buf_str(&coded->plain);
    return result;
}

/* Whether a text is a container, if it is JSON. */
static bool begins_container(struct str text)
{
    struct str json = json_skip_space(text);
    return json.len && (json.at[0] == '[' || json.at[0] == '{');
}

/* Whether the body may be handled now. The JSON of a large one is checked first, in pieces; any
 * large body that begins like a container may be meant as JSON. */
static bool is_checked(struct request_stream *request, const struct http_head *head,
                       struct str body)
{
    if (body.len <= CHECKED_LARGE || head->method != HTTP_POST)
        return true;
    if (!request->intake->check && !begins_container(body))
        return true;
    return checked_go_on(request->worker, &request->intake->check, body);
}

int body_prepare(struct request_stream *request, const struct http_head *head, struct str *body)
{
    int result = decode(request, head, body);
    return result || is_checked(request, head, *body) ? result : -EAGAIN;
}

enum problem body_refusal(int error, uint64_t body_max, struct buf *detail)
{
    switch (error) {
    case -EMSGSIZE:
        buf_addf(detail, "the body has more than %llu bytes (limits.body_max)",
                 (unsigned long long)body_max);
        return PROBLEM_TOO_LARGE;
    case -ENOMEM:
        buf_add_lit(detail, "no memory: try again");
        return PROBLEM_UNAVAILABLE;
    case -EOPNOTSUPP:
        buf_add_lit(detail, "send the body as it is, or with Content-Encoding: gzip");
        return PROBLEM_BAD_CODING;
    default:
        buf_add_lit(detail, "the body is not gzip from beginning to end, as its Content-Encoding "
                            "says, or is of too many blocks");
        return PROBLEM_BAD_REQUEST;
    }
}
