#include "api/api_keys.h"
#include "api/describe/operation.h"
#include "api/revocations.h"
#include "api/subscriber_list.h"
#include "api/subscribers.h"

static const struct parameter_doc revocations_docs[] = {
    {"subject", "of this subject"},
    {"jti", "of the token with this id"},
    {"key", "of the API key with this id"},
};
static const struct query_doc revocations_query = {revocations_parameters, revocations_docs, 3};

#define PAGE_DOCS                                                                                  \
    {"limit", "so many at most: 1,000 without it"},                                                \
    {                                                                                              \
        "after", "next of the page before"                                                         \
    }
static const struct parameter_doc revocation_list_docs[] = {
    {"subject", "of this subject"},
    {"jti", "of the token with this id"},
    {"key", "of the API key with this id"},
    PAGE_DOCS,
};
static const struct query_doc revocation_list_query = {revocation_list_parameters,
                                                       revocation_list_docs, 5};

static const struct parameter_doc key_list_docs[] = {PAGE_DOCS};
static const struct query_doc key_list_query = {api_key_list_parameters, key_list_docs, 2};

static const struct parameter_doc subscribers_docs[] = {
    {"subject", "who"},
    {"channel", "only what reads this channel"},
    {"id", "a single subscription, and nothing else"},
};
static const struct query_doc subscribers_query = {subscribers_parameters, subscribers_docs, 3};

static const struct parameter_doc subscriber_list_docs[] = {
    {"subject", "of this subject"},
    {"channel", "who gets events of this channel, by patterns too"},
    {"mechanism", "by this mechanism"},
    {"address", "from this address"},
    {"behind", "1: those that are behind the newest event; 0: the others"},
    {"limit", "so many: 100 without it"},
    {"after", "next of the page before"},
};
static const struct query_doc subscriber_list_query = {subscriber_list_parameters,
                                                       subscriber_list_docs, 7};

/* clang-format off */
#define IN_JSON(status, says, schema) {status, says, "application/json", schema, false, NULL}
#define DONE(says) {204, says, NULL, NULL, false, NULL}
#define PAGE(route_, id_, summary_, curl_, media)                                                  \
    {.route = (route_), .method = HTTP_GET, .path = (route_), .id = (id_), .summary = (summary_), .curl = (curl_), \
     .headers = "If-None-Match",                                                                   \
     .answers = {{200, "The page.", media, NULL, false, "ETag"}, {304, "It is still the same.", NULL, NULL, false, "ETag"}}}
#define DOCUMENT(route_, id_, summary_, curl_)                                                     \
    {.route = (route_), .method = HTTP_GET, .path = (route_), .id = (id_), .summary = (summary_), .curl = (curl_), \
     .headers = "If-None-Match",                                                                   \
     .answers = {{200, "The document.", "application/json", "Description", false, "ETag"}, {304, "It is still the same.", NULL, NULL, false, "ETag"}}}
#define CHANGES (PROBLEM_BIT(BAD_ACCESS) | PROBLEM_BIT(NO_SPACE))

static const struct operation access_operations[] = {
    {.route = "/keys", .method = HTTP_POST, .path = "/keys", .id = "createKey",
     .summary = "Make an API key", .doc = "The answer has its text, this once.",
     .curl = "curl localhost:7070/keys --json '{ \"name\": \"shop\", \"grants\": [{ \"channels\": [ \"orders/**\" ], \"may\": [ \"publish\" ]}]}'",
     .bodies = {{"application/json", "NewKey"}},
     .answers = {IN_JSON(201, "It is made.", "KeyMade")}, .problems = CHANGES},
    {.route = "/keys", .method = HTTP_GET, .path = "/keys", .id = "listKeys",
     .summary = "List API keys", .doc = "A page ends after limit keys, or 256 KiB; next names the page that follows.",
     .curl = "curl localhost:7070/keys", .query = &key_list_query,
     .answers = {IN_JSON(200, "Keys, without their text.", "KeyList")}},
    {.route = "/keys", .method = HTTP_GET, .path = "/keys/{key}", .id = "readKey",
     .summary = "Show an API key", .curl = "curl localhost:7070/keys/abcdefghij",
     .answers = {IN_JSON(200, "The key, without its text.", "Key")}},
    {.route = "/keys", .method = HTTP_DELETE, .path = "/keys/{key}", .id = "deleteKey",
     .summary = "Revoke an API key", .doc = "What goes on under it ends.",
     .curl = "curl -X DELETE localhost:7070/keys/abcdefghij",
     .answers = {DONE("It is revoked.")}, .problems = CHANGES},
    {.route = "/revocations", .method = HTTP_POST, .path = "/revocations", .id = "revoke",
     .summary = "Revoke a subject, a token or a key",
     .curl = "curl localhost:7070/revocations --json '{ \"subject\": \"alice\", \"reason\": \"left\" }'",
     .bodies = {{"application/json", "NewRevocation"}},
     .answers = {IN_JSON(201, "It is revoked.", "Revocation")}, .problems = CHANGES},
    {.route = "/revocations", .method = HTTP_GET, .path = "/revocations", .id = "listRevocations",
     .summary = "List revocations", .doc = "A page ends after limit revocations, or 256 KiB; next names the page that follows.",
     .curl = "curl localhost:7070/revocations",
     .query = &revocation_list_query,
     .answers = {IN_JSON(200, "Revocations, or the one that was asked for.", "RevocationList")}},
    {.route = "/revocations", .method = HTTP_DELETE, .path = "/revocations", .id = "endRevocation",
     .summary = "End a revocation", .curl = "curl -X DELETE 'localhost:7070/revocations?subject=alice'",
     .query = &revocations_query,
     .answers = {DONE("It has ended.")}, .problems = CHANGES},
    {.route = "/subscribers", .method = HTTP_GET, .path = "/subscribers", .id = "listSubscribers",
     .summary = "Who is subscribed", .curl = "curl 'localhost:7070/subscribers?channel=news'",
     .query = &subscriber_list_query,
     .answers = {IN_JSON(200, "Subscriptions of the moment.", "SubscriberList")}, .problems = PROBLEM_BIT(BAD_CHANNEL)},
    {.route = "/subscribers", .method = HTTP_DELETE, .path = "/subscribers", .id = "disconnect",
     .summary = "Disconnect somebody", .doc = "Streams and WebSockets end, polls are answered. They may connect again, unless a revocation keeps them out.",
     .curl = "curl -X DELETE 'localhost:7070/subscribers?subject=alice'",
     .query = &subscribers_query,
     .answers = {IN_JSON(200, "So many were disconnected.", "Disconnected")}, .problems = PROBLEM_BIT(BAD_CHANNEL)},
};

static const struct operation watch_operations[] = {
    {.route = "/healthz", .method = HTTP_GET, .path = "/healthz", .id = "health",
     .summary = "Whether the process answers", .curl = "curl localhost:7070/healthz",
     .answers = {IN_JSON(200, "It does.", "Status")}},
    {.route = "/readyz", .method = HTTP_GET, .path = "/readyz", .id = "ready",
     .summary = "Whether publishes can succeed", .doc = "503 while the server drains, or cannot write its store.",
     .curl = "curl localhost:7070/readyz",
     .answers = {IN_JSON(200, "They can.", "Status")}},
    {.route = "/stats", .method = HTTP_GET, .path = "/stats", .id = "stats",
     .summary = "Figures of this server", .curl = "curl localhost:7070/stats",
     .answers = {IN_JSON(200, "The figures, since the start.", "Stats")}},
    {.route = "/configuration", .method = HTTP_GET, .path = "/configuration", .id = "configuration",
     .summary = "The configuration in force", .doc = "With defaults, and without secrets.",
     .curl = "curl localhost:7070/configuration",
     .answers = {IN_JSON(200, "Key by key, as in the file.", "Configuration")}},
    {.route = "/metrics", .method = HTTP_GET, .path = "/metrics", .id = "metrics",
     .summary = "The same for Prometheus", .curl = "curl localhost:7070/metrics",
     .answers = {{200, "The figures, as text.", "text/plain", NULL, false, NULL}}},
};

static const struct operation learn_operations[] = {
    {.route = "/", .method = HTTP_GET, .path = "/", .id = "root",
     .summary = "The paths of this server", .curl = "curl localhost:7070/",
     .answers = {IN_JSON(200, "Links, and what each takes; a page for browsers.", "Root"),
                 {200, NULL, "text/html", NULL, false, NULL}}},
    PAGE("/console", "console", "A page that shows and manages this server, with a key of yours", "curl localhost:7070/console", "text/html"),
    DOCUMENT("/openapi.json", "openapi", "This API for programs, by OpenAPI", "curl localhost:7070/openapi.json"),
    DOCUMENT("/asyncapi.json", "asyncapi", "Its messages, by AsyncAPI", "curl localhost:7070/asyncapi.json"),
    PAGE("/docs", "docs", "This API for people", "curl localhost:7070/docs", "text/html"),
    {.route = "/playground/webhooks", .method = HTTP_POST, .path = "/playground/webhooks", .id = "visitPlayground",
     .summary = "A webhook to a receiver inside of the playground", .doc = "It lives for a minute; the same request again is another minute.",
     .curl = "curl localhost:7070/playground/webhooks --json '{ \"channel\": \"playground/x\" }'",
     .bodies = {{"application/json", "PlaygroundVisit"}},
     .answers = {IN_JSON(201, "It is made.", "Webhook"), IN_JSON(200, "It was there, and lives on.", "Webhook")}, .problems = PROBLEM_BIT(BAD_WEBHOOK) | PROBLEM_BIT(BAD_CURSOR) | PROBLEM_BIT(NO_SPACE)},
    {.route = "/playground/webhooks", .method = HTTP_POST, .path = "/playground/webhooks/{webhook}/pause", .id = "pausePlayground",
     .summary = "Hold it", .curl = "curl -X POST localhost:7070/playground/webhooks/wh_visit/pause",
     .answers = {IN_JSON(200, "As it is now.", "Webhook")}},
    {.route = "/playground/webhooks", .method = HTTP_POST, .path = "/playground/webhooks/{webhook}/resume", .id = "resumePlayground",
     .summary = "Let it go on", .curl = "curl -X POST localhost:7070/playground/webhooks/wh_visit/resume",
     .answers = {IN_JSON(200, "As it is now.", "Webhook")}},
    {.route = "/playground/webhooks", .method = HTTP_DELETE, .path = "/playground/webhooks/{webhook}", .id = "leavePlayground",
     .summary = "End it", .curl = "curl -X DELETE localhost:7070/playground/webhooks/wh_visit",
     .answers = {DONE("It is gone.")}},
    {.route = "/errors", .method = HTTP_GET, .path = "/errors", .id = "listErrors",
     .summary = "All types of problems", .curl = "curl localhost:7070/errors",
     .answers = {{200, "A list; a page for browsers.", "text/plain", NULL, false, NULL},
                 {200, NULL, "text/html", NULL, false, NULL}}},
    {.route = "/errors", .method = HTTP_GET, .path = "/errors/{error}", .id = "readError",
     .summary = "What an error means, and what to do", .curl = "curl localhost:7070/errors/bad-channel",
     .answers = {{200, "In plain words; a page for browsers.", "text/plain", NULL, false, NULL},
                 {200, NULL, "text/html", NULL, false, NULL}}},
    PAGE("/playground", "playground", "A page on which you see the same event arrive in four ways", "curl localhost:7070/playground", "text/html"),
    {.route = "/demos", .method = HTTP_GET, .path = "/demos/{demo}", .id = "readDemo",
     .summary = "Pages that show what one can build", .curl = "curl localhost:7070/demos/chat/",
     .headers = "If-None-Match",
     .answers = {{200, "The page, or a file of it.", "text/html", NULL, false, "ETag"}, {200, NULL, "text/css", NULL, false, NULL},
                 {200, NULL, "text/javascript", NULL, false, NULL}, {304, "It is still the same.", NULL, NULL, false, "ETag"},
                 {308, "The page is at this path with a slash.", NULL, NULL, false, "Location"}}},
    PAGE("/freshet.js", "freshetJs", "A module for browsers", "curl localhost:7070/freshet.js", "text/javascript"),
    PAGE("/freshet-presence.js", "freshetPresenceJs", "Its part that watches who is on a channel", "curl localhost:7070/freshet-presence.js", "text/javascript"),
    {.route = "/pages", .method = HTTP_GET, .path = "/pages", .id = "listPages",
     .summary = "The files of the pages", .curl = "curl localhost:7070/pages",
     .answers = {IN_JSON(200, "Their paths.", "PageList")}},
    {.route = "/pages", .method = HTTP_GET, .path = "/pages/{file}", .id = "readPage",
     .summary = "A style or a script of the pages", .curl = "curl localhost:7070/pages/style.css",
     .headers = "If-None-Match",
     .answers = {{200, "The file.", "text/css", NULL, false, "ETag"}, {200, NULL, "text/javascript", NULL, false, NULL},
                 {304, "It is still the same.", NULL, NULL, false, "ETag"}}},
};
/* clang-format on */

const struct task task_access = {"Access", "Keys, revocations, and who is connected.",
                                 access_operations,
                                 sizeof(access_operations) / sizeof(access_operations[0])};
const struct task task_watch = {"Watch", "How the server is.", watch_operations,
                                sizeof(watch_operations) / sizeof(watch_operations[0])};
const struct task task_learn = {"Learn", "Pages and descriptions of the server itself.",
                                learn_operations,
                                sizeof(learn_operations) / sizeof(learn_operations[0])};
