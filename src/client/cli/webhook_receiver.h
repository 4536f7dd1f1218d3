/* A receiver of webhooks without sockets: takes requests from bytes, decides the answer, and
 * describes each request on a line. */
#pragma once

#include "http/head.h"
#include "inbound/verify.h"

enum { RECEIVER_BODY_MAX = 32 << 20 };

/* A whole request. All parts but `decoded` point into the bytes that it was taken from. */
struct receiver_request {
    struct http_head head;
    struct str body;
    struct buf decoded;  /* content of a chunked body, which `body` then points to */
    size_t size;         /* bytes that were taken */
    bool wants_continue; /* with -EAGAIN: the sender waits for `100 Continue` */
};

/* Takes a request off the front of the bytes. Returns 0; -EAGAIN if more bytes must come; -ENOMEM;
 * or the status of a refusal, after which the connection must be closed. Call
 * receiver_request_deinit() in any case. */
int receiver_take(struct str bytes, struct receiver_request *ret);
void receiver_request_deinit(struct receiver_request *request);

/* The decision about a request. */
struct receiver_outcome {
    int status; /* the status of the answer */
    bool checked;
    int verdict;     /* if `checked`: an enum verify_verdict, or -ENOMEM */
    struct str text; /* the body of the answer; points into the request or `room` */
    struct buf room;
};

/* Decides about a request. `verifier` may be NULL: then nothing is verified. `status` is the answer
 * to a good request. Handshakes (WebSub's hub.challenge, CloudEvents' OPTIONS, Slack's
 * url_verification) get the answers that their protocols demand. Call receiver_outcome_deinit()
 * afterwards. */
void receiver_judge(const struct receiver_request *request, const struct verifier *verifier,
                    int status, int64_t now_s, struct receiver_outcome *ret);
void receiver_outcome_deinit(struct receiver_outcome *outcome);

/* Adds the answer. */
void receiver_answer(const struct receiver_request *request, const struct receiver_outcome *outcome,
                     struct buf *out);

/* Adds a JSON object on one line that describes the request: time, method, path, webhook-id and
 * time of the attempt, whether it was verified, content type and body. */
void receiver_tell(const struct receiver_request *request, const struct receiver_outcome *outcome,
                   int64_t now_us, struct buf *out);
