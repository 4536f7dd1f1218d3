/* The body of a request that has come whole, made ready for its handler: its content coding is
 * undone, and the JSON of a large one checked, in pieces within the budget of the turn. What is
 * under way lies in the intake of the request stream. */
#pragma once

#include "http/head.h"
#include "transport/request_stream.h"

/* The body that is being received, made if there is none; NULL if there is no memory. The request
 * stream has an intake. */
struct request_body *body_take(struct request_stream *request);

/* Refuse as soon as the head shows it: a client that sends Expect: 100-continue is then spared the
 * body. */
bool body_has_foreign_coding(const struct http_head *head);

/* Makes `*body`, as it was received, the body as it is meant. Returns 0, -EAGAIN when the budget is
 * spent (then call again, with the same bytes), or what body_refusal() tells in words. */
int body_prepare(struct request_stream *request, const struct http_head *head, struct str *body);

/* The problem that a body is refused with, and why, which it adds to `detail`: -EMSGSIZE over
 * body_max, -ENOMEM, -EBADMSG if it is not what its coding says, and -EOPNOTSUPP for a coding that
 * is not known. */
enum problem body_refusal(int error, uint64_t body_max, struct buf *detail);
