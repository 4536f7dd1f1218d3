/* A receiver of webhooks, without sockets: requests out of bytes, what to answer, and a line that
 * tells of each. */
#pragma once

#include "http/head.h"
#include "inbound/verify.h"

enum { RECEIVER_BODY_MAX = 32 << 20 };

/* A whole request. All but `decoded` points into the bytes that it was taken from. */
struct receiver_request {
    struct http_head head;
    struct str body;
    struct buf decoded;  /* of a chunked body; the body points there */
    size_t size;         /* bytes that it took */
    bool wants_continue; /* with -EAGAIN: the sender waits for `100 Continue` */
};

/* Takes a request off the front of all that has come. 0; -EAGAIN when more has to come; -ENOMEM; or
 * the status of a refusal, after which the connection is to be closed. receiver_request_deinit() in
 * any case. */
int receiver_take(struct str bytes, struct receiver_request *ret);
void receiver_request_deinit(struct receiver_request *request);

/* What became of it. */
struct receiver_outcome {
    int status; /* that it is answered with */
    bool checked;
    int verdict;     /* if it was checked: an enum verify_verdict, or -ENOMEM */
    struct str text; /* of the answer; points into the request or `room` */
    struct buf room;
};

/* Judges it: `verifier` may be NULL, and then nothing is verified; `status` answers what is good.
 * Handshakes (WebSub's hub.challenge, CloudEvents' OPTIONS, Slack's url_verification) are answered
 * as whoever asks wants it. receiver_outcome_deinit() afterwards. */
void receiver_judge(const struct receiver_request *request, const struct verifier *verifier,
                    int status, int64_t now_s, struct receiver_outcome *ret);
void receiver_outcome_deinit(struct receiver_outcome *outcome);

/* Adds the answer. */
void receiver_answer(const struct receiver_request *request, const struct receiver_outcome *outcome,
                     struct buf *out);

/* Adds a JSON object on one line that tells of the request: time, method, path, webhook-id and
 * attempt's time, whether it was verified, content type and body. */
void receiver_tell(const struct receiver_request *request, const struct receiver_outcome *outcome,
                   int64_t now_us, struct buf *out);
