/* The problems of requests: each way to fail, as RFC 9457 documents and as WebSocket close
 * codes. */
#pragma once

#include "base/json_writer.h"

/* A row for each problem: name, status, slug (the page under /errors/), title. */
#define PROBLEMS(X)                                                                                \
    X(BAD_REQUEST, 400, "bad-request", "The request is not HTTP as we read it")                    \
    X(BAD_CHANNEL, 400, "bad-channel", "The channel name is not valid")                            \
    X(BAD_PATTERN, 400, "bad-pattern", "The channel name or pattern is not valid")                 \
    X(BAD_CURSOR, 400, "bad-cursor", "The cursor is not a position in the log")                    \
    X(BAD_PARAMETER, 400, "bad-parameter", "A parameter is unknown, or its value is not valid")    \
    X(BAD_TYPE, 400, "bad-type", "The event type is not valid")                                    \
    X(BAD_KEY, 400, "bad-key", "The idempotency key is not valid")                                 \
    X(BAD_JSON, 400, "bad-json", "The body is not JSON")                                           \
    X(BAD_EVENT, 400, "bad-event", "An event of the request is not valid")                         \
    X(BAD_HANDSHAKE, 400, "bad-handshake", "The WebSocket handshake is not valid")                 \
    X(BAD_WEBHOOK, 400, "bad-webhook", "The webhook's settings are not valid")                     \
    X(BAD_ACCESS, 400, "bad-access", "The key's or the revocation's settings are not valid")       \
    X(BAD_OP, 400, "bad-op", "The message is not one of freshet.v1")                               \
    X(UNAUTHORIZED, 401, "unauthorized", "This takes a credential")                                \
    X(BAD_CREDENTIAL, 401, "bad-credential", "The credential is not valid, or not any more")       \
    X(FORBIDDEN, 403, "forbidden", "The credential does not grant this")                           \
    X(FORBIDDEN_ORIGIN, 403, "forbidden-origin", "This website may not talk to this server")       \
    X(FORBIDDEN_HOST, 403, "forbidden-host", "The Host header names another server")               \
    X(RESERVED_CHANNEL, 403, "reserved-channel",                                                   \
      "Channel names that begin with $ are reserved for the server")                               \
    X(FORBIDDEN_TARGET, 403, "forbidden-target", "Webhooks to that address are not allowed")       \
    X(BAD_SIGNATURE, 403, "bad-signature", "The webhook's signature does not match its source")    \
    X(NOT_FOUND, 404, "not-found", "Nothing was found at this path")                               \
    X(NO_PRESENCE, 404, "no-presence", "Presence is off for this channel")                         \
    X(METHOD_NOT_ALLOWED, 405, "method-not-allowed", "This path does not support the method")      \
    X(NOT_ACCEPTABLE, 406, "not-acceptable", "None of the accepted types is available")            \
    X(TIMEOUT, 408, "timeout", "The request took too long to arrive")                              \
    X(NOT_A_MEMBER, 409, "not-a-member", "A state takes a subscription to the channel")            \
    X(GAP, 410, "gap", "Events after that position were trimmed or lost")                          \
    X(NOT_NEWEST, 412, "not-newest", "If-Match names another event than the channel's newest")     \
    X(TOO_LARGE, 413, "too-large", "The body is too large")                                        \
    X(TARGET_TOO_LONG, 414, "target-too-long", "The request line is too long")                     \
    X(BAD_CODING, 415, "bad-coding", "The content coding of the body is not supported")            \
    X(EXPECTATION, 417, "expectation", "The only supported expectation is 100-continue")           \
    X(KEY_REUSED, 422, "key-reused", "The idempotency key was used for another request")           \
    X(UPGRADE_REQUIRED, 426, "upgrade-required", "A WebSocket needs an upgrade to version 13")     \
    X(TOO_MANY, 429, "too-many", "A limit of the server is reached")                               \
    X(PRESENCE_SHARE, 429, "presence-share",                                                       \
      "An address or subject has its share of members or read marks")                              \
    X(HEAD_TOO_LARGE, 431, "head-too-large", "The header of the request is too large")             \
    X(INTERNAL, 500, "internal", "The server failed")                                              \
    X(NOT_BUILT, 501, "not-built", "This version of the server does not support that")             \
    X(UNAVAILABLE, 503, "unavailable", "The server cannot do this right now")                      \
    X(FATE_UNKNOWN, 503, "fate-unknown", "It is not known whether this was done")                  \
    X(VERSION, 505, "version", "This version of HTTP is not supported")                            \
    X(NO_SPACE, 507, "no-space", "The server's disk is full")

enum problem {
#define PROBLEM_NAME(name, status, slug, title) PROBLEM_##name,
    PROBLEMS(PROBLEM_NAME)
#undef PROBLEM_NAME
        PROBLEM_COUNT,
};

int problem_status(enum problem problem);
struct str problem_slug(enum problem problem);
struct str problem_title(enum problem problem);

/* The problem whose page has this slug; PROBLEM_COUNT when there is none. */
enum problem problem_find(struct str slug);

/* The problem that stands for an HTTP status which a codec asks for. */
enum problem problem_of_status(int status);

/* Writes the document as a value: type, title, status, detail, and then `members`, by a
 * json_members_writer(), or none. */
void problem_write(struct json_writer *writer, struct str base, enum problem problem,
                   struct str detail, struct str members);

/* Adds it with a newline, as the body of an answer. */
void problem_add(struct buf *buf, struct str base, enum problem problem, struct str detail,
                 struct str members);

/* The close code and, into `reason`, the problem's type, for a WebSocket: 4000 + status. */
unsigned problem_close_code(enum problem problem);
void problem_add_type(struct buf *buf, struct str base, enum problem problem);
