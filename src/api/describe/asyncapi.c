#include "api/describe/asyncapi.h"

#include "api/describe/schema.h"
#include "api/read.h"

/* ---- the table ------------------------------------------------------------------------------- */

/* Messages; each list of names ends with NULL. */
static const struct message {
    const char *name;
    const char *title;
    const char *schema;
    const char *media; /* NULL: application/json */
} messages[] = {
    {"event", "An event", "Event", NULL},
    {"newData", "Data to publish", "Data", NULL},
    {"gapRecord", "A gap", "OpGap", NULL},
    {"byeRecord", "A goodbye", "OpBye", NULL},
    {"beatRecord", "A heartbeat", "OpBeat", NULL},
    {"sse", "A record of server-sent events", "SseRecord", "text/event-stream"},
    {"ndjson", "A line of NDJSON", "NdjsonRecord", "application/x-ndjson"},
    {"subscribe", "Begin to read", "V1Subscribe", NULL},
    {"unsubscribe", "Stop to read", "V1Unsubscribe", NULL},
    {"publish", "Publish an event", "V1Publish", NULL},
    {"ping", "Are you there?", "V1Ping", NULL},
    {"askPresence", "Who is there; a state, a read mark", "V1AskPresence", NULL},
    {"auth", "Go on under another credential", "V1Auth", NULL},
    {"ok", "It is done", "V1Ok", NULL},
    {"pong", "I am there", "V1Pong", NULL},
    {"presence", "Who is there", "V1Presence", NULL},
    {"error", "It was refused", "V1Error", NULL},
    {"v1Event", "An event of freshet.v1", "V1Event", NULL},
    {"live", "The history has been sent", "V1Live", NULL},
    {"lost", "Channels that may not be read any more", "V1Lost", NULL},
    {"webhookEvent", "An event by webhook", "WebhookEvent", NULL},
    {"webhookPage", "Several events by webhook", "WebhookPage", NULL},
    {"webhookGap", "A gap by webhook", "WebhookGap", NULL},
    {"webhookPing", "A ping by webhook", "WebhookPing", NULL},
};

static const struct described_channel {
    const char *name;
    const char *address; /* a path of the operations; NULL: the URL of a webhook */
    const char *title, *doc;
    bool is_socket;
    const char *from_client, *from_server; /* names of messages, separated by blanks */
} channels[] = {
    {"channelSocket", "/channels/{channel}", "A WebSocket on a channel",
     "Each message from the server is an event; each from you is published. With format=data "
     "messages are the data alone. A heartbeat is a ping with the cursor as its payload.",
     true, "newData", "event gapRecord"},
    {"freshetV1", "/events", "A WebSocket with the subprotocol freshet.v1",
     "JSON in both directions: subscribe to many channels, publish, and hear of each operation by "
     "its ref.",
     true, "subscribe unsubscribe publish ping askPresence auth",
     "ok pong presence error v1Event live beatRecord gapRecord lost byeRecord"},
    {"channelStream", "/channels/{channel}", "A stream of a channel",
     "By Accept or stream=. The first record has the cursor and the connection's name.", false,
     NULL, "sse ndjson"},
    {"eventsStream", "/events", "A stream of many channels and patterns",
     "The same for as many as 100.", false, NULL, "sse ndjson"},
    {"webhook", NULL, "A webhook",
     "The server sends these to the URL that was registered at /webhooks, signed by Standard "
     "Webhooks, until they are accepted.",
     false, NULL, "webhookEvent webhookPage webhookGap webhookPing"},
};
enum {
    MESSAGES = sizeof(messages) / sizeof(messages[0]),
    CHANNELS = sizeof(channels) / sizeof(channels[0])
};

const char *asyncapi_address(size_t i)
{
    while (i < CHANNELS && !channels[i].address)
        i++;
    return i < CHANNELS ? channels[i].address : NULL;
}

/* ---- channels -------------------------------------------------------------------------------- */

static void write_link(struct json_writer *writer, const char *front, struct str name)
{
    struct buf ref = {0};
    buf_addf(&ref, "#/%s%.*s", front, STR_FMT(name));
    json_object_begin(writer);
    json_member_string(writer, "$ref", buf_str(&ref));
    json_object_end(writer);
    writer->out->failed |= buf_failed(&ref);
    buf_free(&ref);
}

static void write_channel_messages(struct json_writer *writer, const char *list)
{
    struct str words = str_from(list ? list : ""), word;
    while (schema_next_word(&words, &word)) {
        schema_name(writer, word);
        write_link(writer, "components/messages/", word);
    }
}

/* The query of a WebSocket has the parameters of every read. */
static void write_binding(struct json_writer *writer, bool is_one)
{
    struct parameter_table table =
        is_one ? read_parameters_of_channel() : read_parameters_of_events();
    json_name(writer, "bindings");
    json_object_begin(writer);
    json_name(writer, "ws");
    json_object_begin(writer);
    json_member_string(writer, "method", STR("GET"));
    json_name(writer, "query");
    json_object_begin(writer);
    json_member_string(writer, "type", STR("object"));
    json_name(writer, "properties");
    json_object_begin(writer);
    for (size_t i = 0; i < table.count; i++) {
        schema_name(writer, table.rows[i].name);
        schema_write_parameter(writer, &table.rows[i]);
    }
    json_object_end(writer);
    json_object_end(writer);
    json_object_end(writer);
    json_object_end(writer);
}

static void write_address(struct json_writer *writer, const struct described_channel *channel)
{
    json_name(writer, "address");
    if (!channel->address) {
        json_add_null(writer);
        return;
    }
    json_add_string(writer, str_from(channel->address));
    json_name(writer, "servers");
    json_array_begin(writer);
    write_link(writer, "servers/", channel->is_socket ? STR("websocket") : STR("http"));
    json_array_end(writer);
    if (!strchr(channel->address, '{'))
        return;
    json_name(writer, "parameters");
    json_object_begin(writer);
    json_name(writer, "channel");
    json_object_begin(writer);
    json_member_string(writer, "description", STR("The name of a channel: segments and slashes."));
    json_object_end(writer);
    json_object_end(writer);
}

static void write_channel(struct json_writer *writer, const struct described_channel *channel)
{
    json_name(writer, channel->name);
    json_object_begin(writer);
    write_address(writer, channel);
    json_member_string(writer, "title", str_from(channel->title));
    json_member_string(writer, "description", str_from(channel->doc));
    json_name(writer, "messages");
    json_object_begin(writer);
    write_channel_messages(writer, channel->from_client);
    write_channel_messages(writer, channel->from_server);
    json_object_end(writer);
    if (channel->is_socket)
        write_binding(writer, strchr(channel->address, '{') != NULL);
    json_object_end(writer);
}

/* An operation is what this server does with the messages of a channel. */
static void write_operation(struct json_writer *writer, const struct described_channel *channel,
                            const char *action, const char *list)
{
    struct buf text = {0};
    struct str words = str_from(list), word;
    buf_addf(&text, "%s.%s", channel->name, action);
    schema_name(writer, buf_str(&text));
    json_object_begin(writer);
    json_member_string(writer, "action", str_from(action));
    json_name(writer, "channel");
    write_link(writer, "channels/", str_from(channel->name));
    buf_clear(&text);
    buf_addf(&text, "channels/%s/messages/", channel->name);
    buf_add_char(&text, '\0');
    json_name(writer, "messages");
    json_array_begin(writer);
    while (!buf_failed(&text) && schema_next_word(&words, &word))
        write_link(writer, text.at, word);
    json_array_end(writer);
    json_object_end(writer);
    writer->out->failed |= buf_failed(&text);
    buf_free(&text);
}

static void write_operations(struct json_writer *writer)
{
    json_name(writer, "operations");
    json_object_begin(writer);
    for (size_t i = 0; i < CHANNELS; i++) {
        write_operation(writer, &channels[i], "send", channels[i].from_server);
        if (channels[i].from_client)
            write_operation(writer, &channels[i], "receive", channels[i].from_client);
    }
    json_object_end(writer);
}

/* ---- the document ---------------------------------------------------------------------------- */

static void write_message(struct json_writer *writer, const struct message *message)
{
    json_name(writer, message->name);
    json_object_begin(writer);
    json_member_string(writer, "name", str_from(message->name));
    json_member_string(writer, "title", str_from(message->title));
    if (message->media)
        json_member_string(writer, "contentType", str_from(message->media));
    json_name(writer, "payload");
    schema_write_ref(writer, "schemas", str_from(message->schema));
    json_object_end(writer);
}

static void write_components(struct json_writer *writer)
{
    json_name(writer, "components");
    json_object_begin(writer);
    json_name(writer, "messages");
    json_object_begin(writer);
    for (size_t i = 0; i < MESSAGES; i++)
        write_message(writer, &messages[i]);
    json_object_end(writer);
    json_member_raw(writer, "schemas", describe_schemas);
    json_object_end(writer);
}

static void write_info(struct json_writer *writer)
{
    json_name(writer, "info");
    json_object_begin(writer);
    json_member_string(writer, "title", STR("freshet"));
    json_member_string(writer, "version", STR(FRESHET_VERSION));
    json_member_string(writer, "description",
                       STR("The messages of WebSockets, streams and webhooks. The same server is "
                           "described for requests and answers in /openapi.json."));
    json_object_end(writer);
    json_member_string(writer, "defaultContentType", STR("application/json"));
}

void asyncapi_make(struct asyncapi *ret)
{
    *ret = (struct asyncapi){.front = {0}};
    struct json_writer writer = json_writer(&ret->front);
    json_object_begin(&writer);
    json_member_string(&writer, "asyncapi", STR("3.1.0"));
    write_info(&writer);
    buf_add_char(&ret->front, ','); /* the servers are members that follow */
    writer.out = &ret->back;
    json_name(&writer, "channels");
    json_object_begin(&writer);
    for (size_t i = 0; i < CHANNELS; i++)
        write_channel(&writer, &channels[i]);
    json_object_end(&writer);
    write_operations(&writer);
    write_components(&writer);
    json_object_end(&writer);
    buf_add_char(&ret->back, '\n');
    ret->back.failed |= buf_failed(&ret->front);
}

void asyncapi_free(struct asyncapi *asyncapi)
{
    buf_free(&asyncapi->front);
    buf_free(&asyncapi->back);
}

static void write_server(struct json_writer *writer, const char *name, struct str base,
                         struct str host, const char *protocol)
{
    json_name(writer, name);
    json_object_begin(writer);
    json_member_string(writer, "host", host);
    if (base.len)
        json_member_string(writer, "pathname", base);
    json_member_string(writer, "protocol", str_from(protocol));
    json_object_end(writer);
}

void asyncapi_add_servers(struct buf *out, struct str base, struct str host, bool is_tls)
{
    struct json_writer writer = json_members_writer(out);
    json_name(&writer, "servers");
    json_object_begin(&writer);
    write_server(&writer, "websocket", base, host, is_tls ? "wss" : "ws");
    write_server(&writer, "http", base, host, is_tls ? "https" : "http");
    json_object_end(&writer);
}
