#include "api/describe/operation.h"
#include "api/listing.h"
#include "api/read.h"

/* The words for the parameters of every read; the first is of /events alone. */
static const struct parameter_doc read_docs[] = {
    {"channel", "a channel or a pattern; as many as 100"},
    {"type", "only events of this type"},
    {"after", "begin behind this position: an id, earliest, now, or a time. Streams begin at now "
              "without it, pages at earliest"},
    {"lastEventId", "the same as the header Last-Event-ID, for polyfills of EventSource"},
    {"told", "with after: the client knows of gaps up to here. next has it where it is needed"},
    {"before", "pages only: the newest events below this id"},
    {"last", "begin with the newest events, so many"},
    {"wait",
     "long-poll: answer as soon as there is an event, and after so many seconds without one"},
    {"stream", "a stream of this format"},
    {"format", "the whole envelope (event), or only the data"},
    {"limit", "events a page: 100 without it"},
    {"beat", "seconds between heartbeats of a stream: 25 without it"},
    {"echo", "WebSocket on a channel: 0 leaves out what this very socket has published"},
    {"as", "the name under which a caller without a credential is a member of the channel"},
};
static const struct query_doc events_query = {read_parameters_of_events, read_docs,
                                              sizeof(read_docs) / sizeof(read_docs[0])};
static const struct query_doc channel_query = {read_parameters_of_channel, read_docs + 1,
                                               sizeof(read_docs) / sizeof(read_docs[0]) - 1};

static const struct parameter_doc listing_docs[] = {
    {"prefix", "only names that begin with this"},
    {"after", "only names behind this one"},
    {"limit", "so many: 100 without it"},
};
static const struct query_doc listing_query = {listing_parameters, listing_docs, 3};

/* clang-format off */
#define READ_ANSWERS                                                                                \
    {{200, "A page, at once or (long-poll) as soon as there is something in it; or a stream.", "application/json", "Page", false, "Cursor Link"}, \
     {200, NULL, "text/event-stream", "SseRecord", true, NULL},                                    \
     {200, NULL, "application/x-ndjson", "NdjsonRecord", true, NULL},                              \
     {200, NULL, "application/octet-stream", "RawRecord", true, NULL},                             \
     {101, "A WebSocket: see /asyncapi.json.", NULL, NULL, false, NULL},                           \
     {204, "To an EventSource: stop for good.", NULL, NULL, false, NULL}}
#define READ_PROBLEMS                                                                              \
    (PROBLEM_BIT(BAD_CURSOR) | PROBLEM_BIT(BAD_TYPE) | PROBLEM_BIT(BAD_HANDSHAKE) | PROBLEM_BIT(GAP) | PROBLEM_BIT(UPGRADE_REQUIRED))
#define READ_HEADERS "Last-Event-ID Prefer"

static const struct operation operations[] = {
    {.route = "/channels", .method = HTTP_GET, .path = "/channels/{channel}", .id = "readChannel",
     .summary = "Read a channel: a page, a long-poll, a stream or a WebSocket",
     .doc = "The request decides the mechanism: Upgrade for a WebSocket, stream= or Accept for a stream, wait= or Prefer for a long-poll, and nothing special for a page. A cursor means the same in all of them.",
     .curl = "curl -N localhost:7070/channels/news -H 'Accept: text/event-stream'",
     .query = &channel_query, .headers = READ_HEADERS,
     .answers = READ_ANSWERS, .problems = READ_PROBLEMS | PROBLEM_BIT(BAD_CHANNEL)},
    {.route = "/events", .method = HTTP_GET, .path = "/events", .id = "readEvents",
     .summary = "Read many channels and patterns as one",
     .doc = "The same as a channel, for as many as 100 names and patterns. A WebSocket here speaks freshet.v1: see /asyncapi.json.",
     .curl = "curl 'localhost:7070/events?channel=news&channel=trades/**&wait=25'",
     .query = &events_query, .headers = READ_HEADERS, .required = "channel",
     .answers = READ_ANSWERS, .problems = READ_PROBLEMS | PROBLEM_BIT(BAD_PATTERN)},
    {.route = "/channels", .method = HTTP_GET, .path = "/channels", .id = "listChannels",
     .summary = "List channels",
     .curl = "curl 'localhost:7070/channels?prefix=trades/&limit=100'",
     .query = &listing_query,
     .answers = {{200, "Channels, by name.", "application/json", "ChannelList", false, "Link"}}},
    {.route = "/channels", .method = HTTP_DELETE, .path = "/channels/{channel}", .id = "deleteChannel",
     .summary = "Delete what is in a channel",
     .doc = "The events can no longer be read, and their bytes leave the disk soon after. Consumers with an older cursor get a gap.",
     .curl = "curl -X DELETE localhost:7070/channels/trades/btc",
     .answers = {{204, "It is done.", NULL, NULL, false, NULL}},
     .problems = PROBLEM_BIT(BAD_CHANNEL) | PROBLEM_BIT(RESERVED_CHANNEL) | PROBLEM_BIT(NO_SPACE) | PROBLEM_BIT(FATE_UNKNOWN)},
    {.route = "/topics", .method = HTTP_GET, .path = "/topics/{channel}", .id = "readTopic",
     .summary = "Read the newest event of a channel, as a topic of WebSub",
     .doc = "The data alone, in its own type.",
     .curl = "curl localhost:7070/topics/news",
     .headers = "If-None-Match",
     .answers = {{200, "The data of the newest event.", "*/*", NULL, false, "ETag Link"},
                 {304, "It is still the event of If-None-Match.", NULL, NULL, false, "ETag"}},
     .problems = PROBLEM_BIT(BAD_CHANNEL)},
};
/* clang-format on */

const struct task task_read = {
    "Read", "Whoever comes back says its cursor, and goes on exactly where it was.", operations,
    sizeof(operations) / sizeof(operations[0])};
