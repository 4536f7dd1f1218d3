/* The problems of requests: each way to fail, as RFC 9457 documents and as WebSocket close
 * codes. */
#pragma once

#include "base/json_writer.h"

/* A row for each problem: name, status, slug (the page under /errors/), title. */
#define PROBLEMS(X)                                                                                \
    X(BAD_REQUEST, 400, "bad-request", "The request is not HTTP as we read it")                    \
    X(BAD_CHANNEL, 400, "bad-channel", "This is not a channel's name")                             \
    X(BAD_PATTERN, 400, "bad-pattern", "This is neither a channel's name nor a pattern")           \
    X(BAD_CURSOR, 400, "bad-cursor", "This is not a position in the log")                          \
    X(BAD_PARAMETER, 400, "bad-parameter",                                                         \
      "A parameter is unknown, or has a value that it cannot have")                                \
    X(BAD_TYPE, 400, "bad-type", "This is not an event type")                                      \
    X(BAD_KEY, 400, "bad-key", "This is not an idempotency key")                                   \
    X(BAD_JSON, 400, "bad-json", "The body is not JSON")                                           \
    X(BAD_EVENT, 400, "bad-event", "An event of the batch is not one")                             \
    X(BAD_HANDSHAKE, 400, "bad-handshake", "The WebSocket handshake is not one")                   \
    X(BAD_WEBHOOK, 400, "bad-webhook", "This is not a webhook's registration")                     \
    X(BAD_OP, 400, "bad-op", "This is not a message of freshet.v1")                                \
    X(FORBIDDEN_ORIGIN, 403, "forbidden-origin", "This website may not talk to this server")       \
    X(FORBIDDEN_HOST, 403, "forbidden-host", "This server does not go by that name")               \
    X(RESERVED_CHANNEL, 403, "reserved-channel", "Channels that begin with $ are the server's")    \
    X(FORBIDDEN_TARGET, 403, "forbidden-target", "Webhooks may not go to that address")            \
    X(BAD_SIGNATURE, 403, "bad-signature", "This webhook is not from its source")                  \
    X(NOT_FOUND, 404, "not-found", "There is nothing here")                                        \
    X(METHOD_NOT_ALLOWED, 405, "method-not-allowed", "This cannot be done here")                   \
    X(NOT_ACCEPTABLE, 406, "not-acceptable", "None of the accepted types can be had here")         \
    X(TIMEOUT, 408, "timeout", "The request took too long to arrive")                              \
    X(GAP, 410, "gap", "Events after that position are gone")                                      \
    X(NOT_NEWEST, 412, "not-newest", "The channel has a newer event than If-Match says")           \
    X(TOO_LARGE, 413, "too-large", "The body is too large")                                        \
    X(TARGET_TOO_LONG, 414, "target-too-long", "The request line is too long")                     \
    X(BAD_CODING, 415, "bad-coding", "The body is in a content coding that is not read here")      \
    X(EXPECTATION, 417, "expectation", "Only 100-continue can be expected")                        \
    X(KEY_REUSED, 422, "key-reused", "Something else was sent under this idempotency key")         \
    X(UPGRADE_REQUIRED, 426, "upgrade-required",                                                   \
      "A WebSocket is opened by an upgrade to version 13")                                         \
    X(TOO_MANY, 429, "too-many", "A limit of this server is reached")                              \
    X(HEAD_TOO_LARGE, 431, "head-too-large", "The request's header is too large")                  \
    X(INTERNAL, 500, "internal", "The server failed")                                              \
    X(NOT_BUILT, 501, "not-built", "This server cannot do that yet")                               \
    X(UNAVAILABLE, 503, "unavailable", "This cannot be done right now")                            \
    X(FATE_UNKNOWN, 503, "fate-unknown", "It is not known whether the event was published")        \
    X(VERSION, 505, "version", "Only HTTP/1.0 and HTTP/1.1 are spoken here")                       \
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
