#include "client/lib/ws_link.h"

#include "base/hash.h"
#include "base/visible.h"
#include "client/lib/advice.h"
#include "ws/handshake.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 16 << 10, CONNECT_MS = 10000, SEND_MS = 10000, REFUSAL_MS = 1000 };

void ws_link_init(struct ws_link *link, const struct interrupt *interrupt, int watched_fd,
                  int64_t quiet_ms, size_t message_max)
{
    *link = (struct ws_link){.interrupt = interrupt,
                             .watched_fd = watched_fd,
                             .quiet_ms = quiet_ms,
                             .socket = {.fd = -1}};
    link->limits = (struct ws_limits){.message_max = message_max, .frame_max = message_max};
    ws_reader_init(&link->reader, WS_CLIENT, &link->limits, NULL);
}

void ws_link_deinit(struct ws_link *link)
{
    client_socket_close(&link->socket);
    ws_reader_deinit(&link->reader);
    buf_free(&link->in);
    buf_free(&link->out);
    buf_free(&link->why);
}

static int fail(struct ws_link *link, int result, const char *why)
{
    buf_clear(&link->why);
    link->advice = NULL;
    buf_add_str(&link->why, str_from(why));
    return result;
}

static int fail_by(struct ws_link *link, int result, int error)
{
    buf_clear(&link->why);
    link->advice = NULL;
    client_socket_explain(&link->socket, error, &link->why);
    return result;
}

/* ---- the socket ------------------------------------------------------------------------------ */

/* Waits a second at a time, to notice when the reader of our output goes away. */
static int wait_for(struct ws_link *link, short events, int64_t timeout_ms)
{
    for (int64_t left = timeout_ms; left > 0; left -= 1000) {
        enum interrupt_wake wake =
            interrupt_wait(link->interrupt, link->socket.fd, events, left < 1000 ? left : 1000);
        if (wake == WAKE_INTERRUPT || interrupt_is_unread(link->watched_fd))
            return WS_LINK_STOPPED;
        if (wake == WAKE_READY)
            return 0;
    }
    return fail(link, WS_LINK_E_QUIET, "the server has gone quiet");
}

static int connect_to(struct ws_link *link, const struct addrinfo *address)
{
    int error = 0, one = 1;
    socklen_t size = sizeof(error);
    link->socket.fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (link->socket.fd < 0)
        return fail(link, WS_LINK_E_CONNECT, strerror(errno));
    setsockopt(link->socket.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(link->socket.fd, address->ai_addr, address->ai_addrlen) == 0)
        return 0;
    int result = 0;
    if (errno != EINPROGRESS)
        error = errno;
    else if ((result = wait_for(link, POLLOUT, CONNECT_MS)) == 0)
        getsockopt(link->socket.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        result = fail(link, WS_LINK_E_CONNECT, strerror(error));
        link->advice = advice_of_error(error);
    }
    if (!result)
        return 0;
    client_socket_close(&link->socket);
    return result == WS_LINK_E_QUIET ? WS_LINK_E_CONNECT : result;
}

static int connect_any(struct ws_link *link, const struct server_url *url)
{
    struct buf host = {0}, port = {0};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    buf_add_str(&host, url->host);
    buf_add_char(&host, '\0');
    buf_add_str(&port, server_url_port(url));
    buf_add_char(&port, '\0');
    int error = buf_failed(&host) || buf_failed(&port)
                    ? EAI_MEMORY
                    : getaddrinfo(host.at, port.at, &hints, &found);
    int result = WS_LINK_E_CONNECT;
    if (error) {
        fail(link, result, gai_strerror(error));
        link->advice = ADVICE_NO_HOST;
    }
    for (struct addrinfo *at = found; at && result == WS_LINK_E_CONNECT; at = at->ai_next)
        result = connect_to(link, at);
    if (found)
        freeaddrinfo(found);
    buf_free(&host);
    buf_free(&port);
    return result;
}

static int secure(struct ws_link *link, struct tls_client *tls)
{
    int result = client_socket_secure(&link->socket, tls);
    while (!result && (result = client_socket_shake(&link->socket)) == -EAGAIN)
        result = wait_for(link, link->socket.waits_for, CONNECT_MS);
    if (result == WS_LINK_E_QUIET)
        return WS_LINK_E_CONNECT;
    if (result < 0) {
        result = fail_by(link, WS_LINK_E_CONNECT, result);
        link->advice = advice_of_tls(buf_str(&link->why));
    }
    return result;
}

static int send_out(struct ws_link *link)
{
    struct str rest = buf_str(&link->out);
    int result = buf_failed(&link->out) ? fail(link, WS_LINK_E_BROKEN, "there is no memory") : 0;
    while (!result && rest.len) {
        ssize_t n = client_socket_send(&link->socket, rest);
        if (n >= 0)
            rest = str_skip(rest, (size_t)n);
        else if (n == -EAGAIN)
            result = wait_for(link, link->socket.waits_for, SEND_MS);
        else
            result = fail_by(link, WS_LINK_E_BROKEN, (int)n);
    }
    buf_clear(&link->out);
    return result;
}

/* Adds received bytes to link->in. */
static int receive(struct ws_link *link, int64_t timeout_ms)
{
    for (;;) {
        char *room = buf_reserve(&link->in, READ_SIZE);
        if (!room)
            return fail(link, WS_LINK_E_BROKEN, "there is no memory");
        ssize_t n = client_socket_recv(&link->socket, room, READ_SIZE);
        if (n > 0) {
            link->in.len += (size_t)n;
            return 0;
        }
        if (n == 0)
            return fail(link, WS_LINK_E_BROKEN, "the server hung up");
        if (n != -EAGAIN)
            return fail_by(link, WS_LINK_E_BROKEN, (int)n);
        int result = wait_for(link, link->socket.waits_for, timeout_ms);
        if (result)
            return result;
    }
}

/* ---- the handshake --------------------------------------------------------------------------- */

static void add_request(struct buf *out, const struct server_url *url, const char *path,
                        const char *protocol, const char *token, const char key[WS_KEY_LEN])
{
    buf_add_lit(out, "GET ");
    buf_add_str(out, url->path);
    buf_add_str(out, str_from(path));
    buf_add_lit(out, " HTTP/1.1\r\n");
    http1_response_header(out, STR("Host"), url->authority);
    http1_response_header(out, STR("User-Agent"), STR("freshet/" FRESHET_VERSION));
    buf_add_lit(out, "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
    http1_response_header(out, STR("Sec-WebSocket-Key"), (struct str){key, WS_KEY_LEN});
    if (protocol)
        http1_response_header(out, STR("Sec-WebSocket-Protocol"), str_from(protocol));
    if (token) {
        buf_add_lit(out, "Authorization: Bearer ");
        buf_add_str(out, str_from(token));
        buf_add_lit(out, "\r\n");
    }
    http1_response_end(out);
}

/* Reads a refusal; leaves the available part of its body in link->in. */
static int read_refusal(struct ws_link *link, const struct http_status *head)
{
    uint64_t length = head->framing.content_length;
    link->status = head->status;
    buf_drop(&link->in, head->size);
    while (link->in.len < length && length <= READ_SIZE)
        if (receive(link, REFUSAL_MS))
            break;
    return WS_LINK_E_REFUSED;
}

static int check_answer(struct ws_link *link, const struct http_status *head, const char *protocol,
                        const char key[WS_KEY_LEN])
{
    struct str accept = http_fields_get(&head->fields, STR("sec-websocket-accept"));
    struct str chosen = http_fields_get(&head->fields, STR("sec-websocket-protocol"));
    if (head->status != 101)
        return read_refusal(link, head);
    if (!http_fields_list_has(&head->fields, STR("upgrade"), STR("websocket")) ||
        !http_fields_list_has(&head->fields, STR("connection"), STR("upgrade")) ||
        !ws_accept_matches((struct str){key, WS_KEY_LEN}, accept))
        return fail(link, WS_LINK_E_BROKEN, "the answer to the handshake is not one");
    if (http_fields_get(&head->fields, STR("sec-websocket-extensions")).len)
        return fail(link, WS_LINK_E_BROKEN, "the server chose an extension that was not offered");
    if (protocol && !str_eq(chosen, str_from(protocol)))
        return fail(link, WS_LINK_E_BROKEN, "the server does not speak this subprotocol");
    link->in_used = head->size;
    return 0;
}

static int shake_hands(struct ws_link *link, const char *protocol, const char key[WS_KEY_LEN])
{
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_scan scan = {0};
    struct http_status head;
    for (;;) {
        int result = receive(link, link->quiet_ms);
        if (result)
            return result;
        result = http_status_parse(buf_str(&link->in), &limits, &scan, &head);
        if (!result)
            return check_answer(link, &head, protocol, key);
        if (result != -EAGAIN)
            return fail(link, WS_LINK_E_BROKEN, "the answer to the handshake is no HTTP");
    }
}

int ws_link_open(struct ws_link *link, const struct server_url *url, struct tls_client *tls,
                 const char *path, const char *protocol, const char *token)
{
    char key[WS_KEY_LEN];
    int result = connect_any(link, url);
    if (!result) {
        link->advice = NULL; /* of another address of the name */
        result = secure(link, tls);
    }
    if (result)
        return result;
    if (ws_make_key(key))
        return fail(link, WS_LINK_E_BROKEN, "there is no memory");
    add_request(&link->out, url, path, protocol, token, key);
    result = send_out(link);
    return result ? result : shake_hands(link, protocol, key);
}

/* ---- messages -------------------------------------------------------------------------------- */

static void add_frame(struct ws_link *link, enum ws_opcode opcode, struct str payload)
{
    uint8_t mask[4];
    hash_random(mask, sizeof(mask));
    ws_add_frame(&link->out, true, false, opcode, payload, mask);
}

int ws_link_send(struct ws_link *link, struct str text)
{
    add_frame(link, WS_TEXT, text);
    return send_out(link);
}

static int take_close(struct ws_link *link, const struct ws_event *event)
{
    uint8_t mask[4];
    hash_random(mask, sizeof(mask));
    link->close_code = event->close_code;
    buf_clear(&link->why);
    buf_add_str(&link->why, event->data);
    if (!buf_failed(&link->why))
        visible_blank(link->why.at, link->why.len);
    ws_add_close(&link->out, event->close_code, STR_NONE, mask);
    (void)client_socket_send(&link->socket, buf_str(&link->out));
    buf_clear(&link->out);
    return WS_LINK_E_CLOSED;
}

/* Handles an event. Returns 0 if there is no message to hand out. */
static int take_event(struct ws_link *link, const struct ws_event *event, struct str *ret_message)
{
    switch (event->opcode) {
    case WS_TEXT:
        *ret_message = event->data;
        return WS_LINK_MESSAGE;
    case WS_PING:
        add_frame(link, WS_PONG, event->data);
        return send_out(link);
    case WS_CLOSE:
        return take_close(link, event);
    case WS_BINARY:
    case WS_PONG:
    case WS_CONTINUATION:
        break;
    }
    return 0;
}

/* Returns WS_LINK_MORE if the bytes at hand hold no further message. */
static int take_at_hand(struct ws_link *link, struct str *ret_message)
{
    for (;;) {
        struct ws_event event;
        size_t used = 0;
        char *at = link->in.at + link->in_used;
        int result = ws_reader_feed(&link->reader, at, link->in.len - link->in_used, &used, &event);
        if (result == WS_MORE) {
            buf_clear(&link->in);
            link->in_used = 0;
            return WS_LINK_MORE;
        }
        if (result != WS_EVENT) {
            fail(link, WS_LINK_E_BROKEN, "");
            buf_add_str(&link->why, ws_error_reason(result));
            return WS_LINK_E_BROKEN;
        }
        link->in_used += used;
        if ((result = take_event(link, &event, ret_message)))
            return result;
    }
}

int ws_link_next(struct ws_link *link, bool at_hand, struct str *ret_message)
{
    for (;;) {
        int result = take_at_hand(link, ret_message);
        if (result != WS_LINK_MORE || at_hand)
            return result;
        if ((result = receive(link, link->quiet_ms)))
            return result;
    }
}

void ws_link_close(struct ws_link *link)
{
    uint8_t mask[4];
    if (link->socket.fd < 0)
        return;
    hash_random(mask, sizeof(mask));
    buf_clear(&link->out);
    ws_add_close(&link->out, WS_CLOSE_NORMAL, STR_NONE, mask);
    (void)client_socket_send(&link->socket, buf_str(&link->out));
}
