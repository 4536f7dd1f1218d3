#include "api/describe/operation.h"
#include "api/publish.h"

static const struct parameter_doc publish_docs[] = {
    {"type", "the same as the header Event-Type, which takes precedence"},
    {"key", "the same as Idempotency-Key, which takes precedence"},
    {"ephemeral", "do not store the event: it goes to those who are connected now"},
    {"except", "the same as Event-Except, which takes precedence"},
};
static const struct query_doc publish_query = {publish_parameters, publish_docs, 4};

#define PROBLEMS_OF_PUBLISH                                                                        \
    (PROBLEM_BIT(BAD_CHANNEL) | PROBLEM_BIT(BAD_TYPE) | PROBLEM_BIT(BAD_KEY) |                     \
     PROBLEM_BIT(BAD_JSON) | PROBLEM_BIT(RESERVED_CHANNEL) | PROBLEM_BIT(KEY_REUSED) |             \
     PROBLEM_BIT(FATE_UNKNOWN) | PROBLEM_BIT(NO_SPACE))

/* clang-format off */
static const struct operation operations[] = {
    {.route = "/channels", .method = HTTP_POST, .path = "/channels/{channel}", .id = "publish",
     .summary = "Publish an event",
     .doc = "The body is the data: JSON, text or bytes, as Content-Type says. The answer comes when the event is safe. The first publish makes the channel.",
     .curl = "curl localhost:7070/channels/trades/btc --json '{ \"price\": 67123.5 }' -H 'Event-Type: trade'",
     .query = &publish_query,
     .headers = "Event-Type Idempotency-Key If-Match Event-Hops Event-Except",
     .bodies = {{"application/json", "Data"}, {"text/plain", NULL}, {"application/octet-stream", NULL}},
     .answers = {{201, "The event is safe.", "application/json", "Receipt", false, "Event-Warning"},
                 {200, "The key was known: the answer of then.", "application/json", "Receipt", false, NULL},
                 {202, "An ephemeral event was sent.", "application/json", "Receipt", false, NULL}},
     .problems = PROBLEMS_OF_PUBLISH | PROBLEM_BIT(BAD_CURSOR) | PROBLEM_BIT(NOT_NEWEST)},
    {.route = "/events", .method = HTTP_POST, .path = "/events", .id = "publishMany",
     .summary = "Publish many events, to any channels",
     .doc = "All of them or none. An array, or a line of NDJSON for each.",
     .curl = "curl localhost:7070/events --json '[{ \"channel\": \"news\", \"data\": \"one\" }, { \"channel\": \"trades/btc\", \"type\": \"trade\", \"data\": { \"price\": 67123.5 }}]'",
     .headers = "Event-Hops",
     .bodies = {{"application/json", "NewEvents"}, {"application/x-ndjson", "NewEvent"}},
     .answers = {{201, "All events are safe.", "application/json", "Receipts", false, "Event-Warning"}},
     .problems = PROBLEMS_OF_PUBLISH | PROBLEM_BIT(BAD_EVENT)},
    {.route = "/inbound", .method = HTTP_POST, .path = "/inbound/{source}", .id = "receiveWebhook",
     .summary = "Receive a webhook of somebody else as an event",
     .doc = "The configuration says how the source proves itself, and what becomes of its webhooks. The query is the sender's.",
     .curl = "curl localhost:7070/inbound/github --json '{ \"zen\": \"Keep it logically awesome.\" }'",
     .headers = "Event-Hops",
     .bodies = {{"application/json", NULL}, {"application/x-www-form-urlencoded", NULL}},
     .answers = {{201, "The event is safe.", "application/json", "Receipt", false, NULL},
                 {200, "It was a challenge, it had come before, or the sender wants an empty answer.", "application/json", NULL, false, NULL},
                 {200, NULL, "text/plain", NULL, false, NULL}},
     .problems = PROBLEMS_OF_PUBLISH | PROBLEM_BIT(BAD_SIGNATURE)},
    {.route = "/inbound", .method = HTTP_GET, .path = "/inbound/{source}", .id = "answerChallenge",
     .summary = "Answer the challenge of a sender",
     .curl = "curl 'localhost:7070/inbound/github?hub.challenge=abc'",
     .answers = {{200, "The answer that the sender expects.", "text/plain", NULL, false, NULL},
                 {200, NULL, "application/json", NULL, false, NULL}},
     .problems = PROBLEM_BIT(BAD_SIGNATURE)},
};
/* clang-format on */

const struct task task_publish = {
    "Publish", "Say something once. It reaches everybody who listens, by whatever mechanism.",
    operations, sizeof(operations) / sizeof(operations[0])};
