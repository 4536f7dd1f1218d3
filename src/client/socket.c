/* A WebSocket client for freshet.v1, over a plain TCP socket. */
#include "client/sub.h"

#include "base/hash.h"
#include "base/mem.h"
#include "http/response.h"
#include "ws/handshake.h"
#include "ws/reader.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SILENCE_MS = 60000, MESSAGE_MAX = 4 << 20 };

struct client_socket {
    struct sub_run *run;
    int fd;
    char key[WS_KEY_LEN];
    struct buf in;
    struct ws_reader reader;
    int verdict;
    bool ended;
};

static int connect_to(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    int fd = -1;
    if (getaddrinfo(host, port, &hints, &found))
        return -1;
    for (const struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen)) {
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(found);
    return fd;
}

/* Splits http://host[:port][/path]. */
static bool split_url(struct str url, char host[256], char port[8], struct str *ret_path)
{
    struct str prefix = STR("http://");
    if (!str_starts(url, prefix))
        return false;
    struct str rest = str_skip(url, prefix.len);
    struct str authority = str_cut(&rest, '/');
    *ret_path = rest.at ? (struct str){rest.at - 1, rest.len + 1} : STR_NONE;
    const char *colon = NULL;
    for (size_t i = 0; i < authority.len; i++)
        if (authority.at[i] == ':')
            colon = authority.at + i;
    struct str name =
        colon ? (struct str){authority.at, (size_t)(colon - authority.at)} : authority;
    struct str number = colon ? str_skip(authority, name.len + 1) : STR("80");
    if (name.len && name.at[0] == '[' && name.at[name.len - 1] == ']')
        name = (struct str){name.at + 1, name.len - 2};
    if (!name.len || name.len > 255 || !number.len || number.len > 5)
        return false;
    snprintf(host, 256, "%.*s", STR_FMT(name));
    snprintf(port, 8, "%.*s", STR_FMT(number));
    return true;
}

static bool send_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = send(fd, bytes.at, bytes.len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes = str_skip(bytes, (size_t)n);
    }
    return true;
}

/* Reads what comes; false when the connection ended or was silent for too long. */
static bool receive(struct client_socket *socket_)
{
    struct pollfd in = {.fd = socket_->fd, .events = POLLIN};
    char *room = buf_reserve(&socket_->in, 65536);
    if (!room || poll(&in, 1, SILENCE_MS) <= 0)
        return false;
    ssize_t n = recv(socket_->fd, room, 65536, 0);
    if (n <= 0)
        return false;
    socket_->in.len += (size_t)n;
    return true;
}

static bool send_message(const struct client_socket *socket_, enum ws_opcode opcode,
                         struct str payload)
{
    uint8_t mask[4];
    struct buf frame = {0};
    hash_random(mask, sizeof(mask));
    ws_add_frame(&frame, true, false, opcode, payload, mask);
    bool good = !buf_failed(&frame) && send_all(socket_->fd, buf_str(&frame));
    buf_free(&frame);
    return good;
}

/* ---- the handshake --------------------------------------------------------------------------- */

static bool ask(struct client_socket *socket_, struct str path)
{
    struct buf request = {0};
    char host[256], port[8];
    struct str ignored;
    split_url(socket_->run->url, host, port, &ignored);
    if (ws_make_key(socket_->key))
        return false;
    buf_addf(&request,
             "GET %.*s/events HTTP/1.1\r\nHost: %s:%s\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Protocol: freshet.v1\r\nSec-WebSocket-Key: %.*s\r\n",
             (int)path.len, path.at ? path.at : "", host, port, WS_KEY_LEN, socket_->key);
    if (socket_->run->token)
        buf_addf(&request, "Authorization: Bearer %s\r\n", socket_->run->token);
    buf_add_lit(&request, "\r\n");
    bool good = !buf_failed(&request) && send_all(socket_->fd, buf_str(&request));
    buf_free(&request);
    return good;
}

static int read_answer(struct client_socket *socket_)
{
    struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct http_scan scan = {0};
    struct http_status *status = mem_alloc(sizeof(*status));
    int result;
    while ((result = http_status_parse(buf_str(&socket_->in), &limits, &scan, status)) == -EAGAIN)
        if (!receive(socket_))
            break;
    struct str accept =
        result ? STR_NONE : http_fields_get(&status->fields, STR("sec-websocket-accept"));
    bool good = !result && status->status == 101 &&
                ws_accept_matches((struct str){socket_->key, WS_KEY_LEN}, accept);
    bool refused = !result && status->status >= 400 && status->status < 500;
    if (good)
        buf_drop(&socket_->in, status->size);
    free(status);
    return good ? 0 : refused ? 1 : -1;
}

static bool subscribe(const struct client_socket *socket_)
{
    const struct sub_run *run = socket_->run;
    struct buf message = {0};
    buf_add_lit(&message, "{\"op\":\"subscribe\",\"channels\":[");
    for (size_t i = 0; i < run->channels_count; i++) {
        if (i)
            buf_add_char(&message, ',');
        buf_add_json(&message, str_from(run->channels[i]));
    }
    buf_add_lit(&message, "],\"ref\":1,");
    if (run->last)
        buf_addf(&message, "\"last\":%s}", run->last);
    else
        buf_addf(&message, "\"after\":\"%s\"}", run->cursor);
    bool good = !buf_failed(&message) && send_message(socket_, WS_TEXT, buf_str(&message));
    buf_free(&message);
    return good;
}

/* ---- messages -------------------------------------------------------------------------------- */

static bool wanted(const struct sub_run *run, struct str event)
{
    struct str type = json_plain(event, STR("type"));
    for (size_t i = 0; i < run->types_count; i++)
        if (str_eq(type, str_from(run->types[i])))
            return true;
    return !run->types_count;
}

static void end(struct client_socket *socket_, int verdict)
{
    socket_->ended = true;
    socket_->verdict = verdict;
}

static void on_message(struct client_socket *socket_, struct str message)
{
    struct str op = json_plain(message, STR("op")), event;
    socket_->run->seen++;
    if (str_eq(op, STR("event"))) {
        event = json_member(message, STR("event"));
        if (wanted(socket_->run, event) && !sub_print(socket_->run, event))
            end(socket_, -1);
    } else if (str_eq(op, STR("error"))) {
        sub_tell("refused:", json_member(message, STR("problem")));
        end(socket_, 1);
    } else {
        sub_note(socket_->run, json_plain(message, STR("cursor")));
        if (str_eq(op, STR("gap")) || str_eq(op, STR("bye")))
            sub_tell("told:", message);
    }
}

static void on_event(struct client_socket *socket_, const struct ws_event *event)
{
    if (event->opcode == WS_TEXT)
        on_message(socket_, event->data);
    else if (event->opcode == WS_PING)
        send_message(socket_, WS_PONG, event->data);
    else if (event->opcode == WS_CLOSE)
        end(socket_, 0);
}

static void feed(struct client_socket *socket_)
{
    char *at = socket_->in.at;
    size_t len = socket_->in.len, used;
    struct ws_event event;
    int result;
    while (!socket_->ended &&
           (result = ws_reader_feed(&socket_->reader, at, len, &used, &event)) != WS_MORE) {
        if (result != WS_EVENT) {
            end(socket_, 0);
            break;
        }
        at += used;
        len -= used;
        on_event(socket_, &event);
    }
    buf_clear(&socket_->in);
}

static void talk(struct client_socket *socket_)
{
    static const struct ws_limits limits = {MESSAGE_MAX, MESSAGE_MAX};
    ws_reader_init(&socket_->reader, WS_CLIENT, &limits, NULL);
    if (subscribe(socket_)) {
        do {
            feed(socket_);
        } while (!socket_->ended && receive(socket_));
    }
    if (!socket_->ended)
        sub_tell("connection lost", STR_NONE);
    ws_reader_deinit(&socket_->reader);
}

int sub_by_socket(struct sub_run *run)
{
    struct client_socket socket_ = {.run = run};
    char host[256], port[8];
    struct str path;
    if (!split_url(run->url, host, port, &path)) {
        sub_tell("--via ws wants a URL like http://127.0.0.1:7070, not", run->url);
        return 1;
    }
    socket_.fd = connect_to(host, port);
    if (socket_.fd < 0) {
        sub_tell("cannot connect:", str_from(strerror(errno)));
        return 0;
    }
    int answer = ask(&socket_, path) ? read_answer(&socket_) : -1;
    if (!answer)
        talk(&socket_);
    else if (answer > 0)
        sub_tell("the server refused the WebSocket", STR_NONE);
    close(socket_.fd);
    buf_free(&socket_.in);
    return answer > 0 ? 1 : socket_.verdict;
}
