#include "api/problem_words.h"

/* clang-format off */
const struct problem_words problem_words[PROBLEM_COUNT] = {
    [PROBLEM_BAD_REQUEST] = {
        "The server could not read the request as HTTP, or two servers could read it in different ways.",
        "A request that a proxy and the server read differently lets strangers slip in requests of their own. So the server refuses it and closes the connection.",
        "Send what RFC 9112 allows: one Host, one Content-Length or Transfer-Encoding, lines that end with CR and LF. An HTTP library does that for you. If a proxy made the request, look at what it changes.",
        "curl localhost:7070/channels/news -H 'Event-Type: a' -H 'Event-Type: b' -d hello"},
    [PROBLEM_BAD_CHANNEL] = {
        "The path names no channel.",
        "A name has 1 to 255 bytes: segments joined by slashes, none of them empty, no *, no control characters. A strict name cannot mean two things.",
        "Write the name as in news or trades/btc, and percent-encode what a URL cannot hold. To read by a pattern, ask /events?channel=trades/*.",
        "curl localhost:7070/channels/trades//btc -d hello"},
    [PROBLEM_BAD_PATTERN] = {
        "The parameter channel is neither a name nor a pattern.",
        "* stands for one whole segment, and ** for one or more at the end. Anything else would be guesswork.",
        "Write trades/* for trades/btc and trades/eth, or trades/** for all below trades. A pattern has at most 16 segments, of which at most 4 are *.",
        "curl 'localhost:7070/events?channel=trades/**/btc'"},
    [PROBLEM_BAD_CURSOR] = {
        "The position is nothing that this parameter takes.",
        "A cursor that is read wrongly would lose events in silence, so it is refused.",
        "Use a cursor exactly as an earlier answer gave it, or earliest, now, or a time such as 2026-11-23T18:00:00Z.",
        "curl 'localhost:7070/channels/news?after=yesterday'"},
    [PROBLEM_BAD_PARAMETER] = {
        "A parameter is unknown, comes twice, or has a value outside of its range.",
        "The server ignores nothing: a slip such as afer= would begin at another place and lose events, and nobody would notice.",
        "Read detail: it names the parameter, the value that was found, and a right one. Names that begin with _ or utm_ are passed over.",
        "curl 'localhost:7070/channels/news?afer=earliest'"},
    [PROBLEM_BAD_TYPE] = {
        "The event's type is not valid.",
        "Readers filter by types and browsers use them as names of listeners, so they are short and plain. error and open are taken by EventSource.",
        "Use 1 to 64 of A-Z a-z 0-9 . _ : / -, as in trade or order.created.",
        "curl localhost:7070/channels/news -H 'Event-Type: error' -d hello"},
    [PROBLEM_BAD_KEY] = {
        "The idempotency key is not valid.",
        "A key that is cut off could be the same as another, and an event would be taken for a repeated one.",
        "Use 1 to 255 bytes, with or without quotes. A UUID, or the number of your order, is fine.",
        "curl localhost:7070/channels/news -H 'Idempotency-Key: \"\"' -d hello"},
    [PROBLEM_BAD_JSON] = {
        "The body says that it is JSON, and is not.",
        "Readers get JSON byte for byte, and would fail at it, each of them.",
        "Read detail and at: they say where the fault is. If the body is text, send it as text/plain.",
        "curl localhost:7070/channels/news -H 'Content-Type: application/json' -d '{price: 1 }'"},
    [PROBLEM_BAD_EVENT] = {
        "An event of the batch is not valid, and none of the batch was published.",
        "A batch is published as a whole or not at all, so that you never have to find out which half arrived.",
        "Read index (the number of the event, from 0) and detail, correct that event, and send the batch again.",
        "curl localhost:7070/events -H 'Content-Type: application/json' -d '[{ \"channel\": \"news\" }]'"},
    [PROBLEM_BAD_HANDSHAKE] = {
        "The handshake of the WebSocket is incomplete or malformed.",
        "RFC 6455 says what a handshake has, so that no ordinary request can be mistaken for one.",
        "Let a WebSocket library make it. If one did, a proxy on the way has changed a header: detail names it.",
        "curl localhost:7070/channels/news -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13'"},
    [PROBLEM_BAD_WEBHOOK] = {
        "The settings of the webhook are not valid.",
        "A webhook with a slip in it would fail later, when nobody looks.",
        "Read detail: it names the member and what it takes. url and channels are required.",
        "curl localhost:7070/webhooks -H 'Content-Type: application/json' -d '{ \"url\": \"http://localhost:9000/\" }'"},
    [PROBLEM_BAD_ACCESS] = {
        "The body asks for no API key, or for no revocation, that there can be.",
        "A key with a slip in its grants could do too much or too little.",
        "Read detail. A key has a name and grants; a revocation has one of subject, jti and key.",
        "curl localhost:7070/keys -H 'Content-Type: application/json' -d '{ \"name\": \"\" }'"},
    [PROBLEM_BAD_OP] = {
        "The message on a WebSocket is none of freshet.v1.",
        "An operation with a member that is not known might mean something else than what would be done.",
        "Send a JSON object with op: subscribe, unsubscribe, publish, ping or auth. detail names the member at fault, and the nearest right one.",
        NULL},
    [PROBLEM_UNAUTHORIZED] = {
        "This takes a credential, and the request has none.",
        "The server has access rules, and they do not let everybody do this.",
        "Send an API key or a token: Authorization: Bearer CREDENTIAL. In a browser's EventSource it is the parameter token.",
        NULL},
    [PROBLEM_BAD_CREDENTIAL] = {
        "The credential is unknown, has expired, or was revoked.",
        "A credential that is no good is refused even where anybody may do what was asked, so that you notice.",
        "Get a new token, or ask whoever runs the server for a new key. freshet token says what is wrong with a token.",
        NULL},
    [PROBLEM_FORBIDDEN] = {
        "The credential is good, and does not grant this.",
        "What you ask for must lie wholly within what was granted to you; nothing is left out silently.",
        "Read may and channel: they say which action is missing, and where. Ask for less, or have it granted.",
        NULL},
    [PROBLEM_FORBIDDEN_ORIGIN] = {
        "A browser sent this request for a website that may not use this server.",
        "Any website could use the server with the rights of its visitors, if it were not asked first.",
        "If the website is yours, add it to the configuration: origins: [https://app.example].",
        "curl localhost:7070/channels/news -H 'Origin: https://elsewhere.example'"},
    [PROBLEM_FORBIDDEN_HOST] = {
        "The header Host names another server than this one.",
        "A website can point a name of its own at your machine, and would then count as the same site.",
        "Use localhost, or add the name to the configuration: hosts: [rt.example.org].",
        "curl localhost:7070/channels/news -H 'Host: elsewhere.example'"},
    [PROBLEM_RESERVED_CHANNEL] = {
        "The channel begins with $, and belongs to the server.",
        "What the server says of itself can be believed only if nobody else can say it.",
        "Choose a name that does not begin with $. Reading such channels is fine.",
        "curl 'localhost:7070/channels/$mine' -d hello"},
    [PROBLEM_FORBIDDEN_TARGET] = {
        "The webhook's URL leads to an address to which webhooks may not go.",
        "Whoever may register a webhook could reach machines behind your firewall by it.",
        "Use a public address. Whoever runs the server can allow others by webhooks.allow.",
        "curl localhost:7070/webhooks -H 'Content-Type: application/json' -d '{ \"url\": \"http://10.0.0.1/\", \"channels\": [ \"news\" ]}'"},
    [PROBLEM_BAD_SIGNATURE] = {
        "A webhook came in, and its signature is missing, wrong or too old.",
        "Without that check anybody could publish events in the name of the sender.",
        "Compare the secret here with the one at the sender, and the clocks of both.",
        NULL},
    [PROBLEM_NOT_FOUND] = {
        "Nothing is at this path.",
        "The path is misspelt, or what was there is gone: a webhook, a key, a delivery.",
        "GET / lists all paths, and /docs describes them. If the server hangs under a base path, that comes first.",
        "curl localhost:7070/nowhere"},
    [PROBLEM_NO_PRESENCE] = {
        "Presence is off for this channel.",
        "It costs memory for everybody who listens, so it is switched on by namespace.",
        "Whoever runs the server can say presence: true for a namespace of the configuration.",
        "curl localhost:7070/presence/news"},
    [PROBLEM_METHOD_NOT_ALLOWED] = {
        "The path exists, and does not know this method.",
        "Each path does a few things. The header Allow lists their methods.",
        "Use one of those. Publishing is POST, reading is GET.",
        "curl -X PUT localhost:7070/channels/news -d hello"},
    [PROBLEM_NOT_ACCEPTABLE] = {
        "The server has none of the types in the header Accept.",
        "It would rather say so than send what you cannot read.",
        "Leave Accept out, or add one of the types that detail lists.",
        NULL},
    [PROBLEM_TIMEOUT] = {
        "The request did not arrive completely in time.",
        "A client that sends a byte now and then would hold a connection for ever. limits.head_ms and limits.body_ms say how long it may take.",
        "Send it again on a new connection. On a slow line, send less at a time.",
        NULL},
    [PROBLEM_NOT_A_MEMBER] = {
        "A state was set by somebody who is not on the channel.",
        "A state belongs to a member, and goes when the member goes.",
        "Subscribe to the channel by its name first, under the same credential or the same as. A read mark takes no subscription.",
        NULL},
    [PROBLEM_GAP] = {
        "Events after your position are gone for good, and you have not seen them.",
        "Retention or a DELETE removed them, the disk lost them, or the position is of another server. You are told, so that you do not take what you have for everything.",
        "Ask for the address that the answer gives as next: it goes on where you were. The header Link has it as rel=next, and as rel=first the address that begins with what is left. freshet.js does this by itself. If you keep a state, read it anew from its source. To lose less, keep events longer: see namespaces in the configuration.",
        "curl 'localhost:7070/channels/news?after=9007199254740000'"},
    [PROBLEM_NOT_NEWEST] = {
        "The newest event of the channel is another one than If-Match says, so nothing was published.",
        "You decided by what you had read, and somebody else was faster; or the id is of another channel. A channel without an event has the id 0000000000000000.",
        "Read the channel again, decide again, and publish with the id of the newest event, which is in newest if you may read the channel.",
        "curl localhost:7070/channels/news -H 'If-Match: \"0000000000000001\"' -d hello"},
    [PROBLEM_TOO_LARGE] = {
        "The body is larger than the server takes.",
        "Each event goes to every reader and stays in the log, so one that is too large costs everybody. limits.body_max is the bound, 1 MiB without it; 64 KiB for webhooks and keys.",
        "Store the data elsewhere and publish its address, split it, or raise the limit.",
        NULL},
    [PROBLEM_TARGET_TOO_LONG] = {
        "The first line of the request is too long.",
        "Its length is bounded, so that nobody can fill memory before saying who they are.",
        "Name fewer channels in the query, use a pattern, or subscribe over a WebSocket by freshet.v1.",
        NULL},
    [PROBLEM_BAD_CODING] = {
        "The body is compressed in a way that is not supported.",
        "The server decompresses gzip and nothing else.",
        "Send the body as it is, or with Content-Encoding: gzip.",
        "curl localhost:7070/channels/news -H 'Content-Encoding: br' -d hello"},
    [PROBLEM_EXPECTATION] = {
        "The header Expect asks for something that the server does not know.",
        "100-continue is the only expectation that HTTP defines.",
        "Leave the header out.",
        "curl localhost:7070/channels/news -H 'Expect: miracles' -d hello"},
    [PROBLEM_KEY_REUSED] = {
        "This idempotency key was used for another event or webhook, so nothing was done.",
        "The same key with other content is nearly always a mistake: one of the two would be lost.",
        "Use a new key for each new thing. Repeat a request with its own key and its own body.",
        NULL},
    [PROBLEM_UPGRADE_REQUIRED] = {
        "This looks like the handshake of a WebSocket whose Upgrade has not arrived, or has another version than 13.",
        "A proxy that does not know WebSockets removes Upgrade, and the client would get a page that it cannot read.",
        "Tell the proxy to pass Upgrade and Connection on: see docs/proxies.md. detail says which setting is missing.",
        "curl localhost:7070/channels/news -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' -H 'Sec-WebSocket-Version: 13'"},
    [PROBLEM_TOO_MANY] = {
        "A limit of the server is reached, and this request would go beyond it.",
        "Limits keep one client from taking what all others need.",
        "Wait as long as Retry-After says, and try again. detail names the limit; whoever runs the server can raise it.",
        NULL},
    [PROBLEM_PRESENCE_SHARE] = {
        "Your address, or the subject of your credential, has its share of the members or read marks that the server keeps.",
        "Whoever may read can subscribe to any name, and the table of who is there is bounded. Without shares a single client could fill it, and nobody else would be seen.",
        "Leave channels that you do not need, and subscribe again: a subscription over the share works, and counts as anonymous. detail names the share; whoever runs the server can raise it, or list the proxy that all of its clients come through.",
        NULL},
    [PROBLEM_HEAD_TOO_LARGE] = {
        "The header of the request is too large, or has too many fields.",
        "Its size is bounded, so that nobody can fill memory before saying who they are.",
        "Send fewer cookies and headers. Cookies of other pages on the same host are a frequent cause.",
        NULL},
    [PROBLEM_INTERNAL] = {
        "The server failed.",
        "This is a fault of the program, and not of your request.",
        "Please report it, with the lines that the server has logged at that time.",
        NULL},
    [PROBLEM_NOT_BUILT] = {
        "This version of the server does not do that.",
        "It would rather say so than do half of it.",
        "Read detail: it says what is missing, and often what to use in its place.",
        NULL},
    [PROBLEM_UNAVAILABLE] = {
        "The server cannot do this right now, and did nothing.",
        "It is about to stop, its store cannot be written, or it is out of memory.",
        "Try again after Retry-After, with the same idempotency key. /readyz says when it can again.",
        NULL},
    [PROBLEM_FATE_UNKNOWN] = {
        "The disk failed, and it is not known whether the event was published, or the change made.",
        "It was written, but the server could not make sure that it stays, nor that it is gone.",
        "Send the request again, a publish with the same Idempotency-Key: then it is done, and once.",
        NULL},
    [PROBLEM_VERSION] = {
        "The request is of a version of HTTP that the server does not speak here.",
        "It speaks HTTP/1.0, HTTP/1.1 and HTTP/2, and a connection stays with the one that it began with.",
        "Use one of these.",
        NULL},
    [PROBLEM_NO_SPACE] = {
        "The server's disk is full, and nothing was published.",
        "An event counts as published only when it is safe on the disk.",
        "Free some space, shorten retention, or delete channels, then publish again. docs/operations.md has more.",
        NULL},
};
/* clang-format on */
