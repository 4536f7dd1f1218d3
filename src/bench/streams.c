#include "bench/streams.h"

#include "base/mem.h"
#include "http/head.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Windows that hold nothing up: what is measured is the server. */
enum { STREAM_WINDOW = 1 << 24, CONNECTION_WINDOW = 1 << 28, FIELDS_MAX = 16 };

struct streams {
    struct load_watch watch;
    struct load *load;
    struct streams *next; /* opened earlier */
    const struct streams_ops *ops;
    nghttp2_session *session;
    struct buf out; /* not sent yet */
    uint64_t count; /* of its streams so far */
    struct client_socket socket;
};

/* ---- what comes ------------------------------------------------------------------------------ */

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    const struct streams *streams = user;
    void *owner = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    (void)value_len;
    (void)flags;
    if (owner && str_eq((struct str){(const char *)name, name_len}, STR(":status")))
        streams->ops->answered(owner, (int)strtol((const char *)value, NULL, 10));
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *user)
{
    const struct streams *streams = user;
    void *owner = nghttp2_session_get_stream_user_data(session, id);
    (void)flags;
    if (owner)
        streams->ops->received(owner, (struct str){(const char *)bytes, len});
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    const struct streams *streams = user;
    void *owner = nghttp2_session_get_stream_user_data(session, id);
    if (owner)
        streams->ops->ended(owner, nghttp2_http2_strerror(error));
    return 0;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static void flush(struct streams *streams)
{
    const uint8_t *bytes;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(streams->session, &bytes)) > 0)
        buf_add(&streams->out, bytes, (size_t)n);
    n = client_socket_shake(&streams->socket);
    if (!n)
        n = client_socket_send(&streams->socket, buf_str(&streams->out));
    if (n > 0)
        buf_drop(&streams->out, (size_t)n);
}

static void broke(struct streams *streams, const char *reason)
{
    load_complain(streams->load, "a connection of HTTP/2: %s", reason);
    streams->load->broken++;
    client_socket_close(&streams->socket);
}

static void receive(struct streams *streams)
{
    char *room = streams->load->room + LOAD_HELD_MAX;
    ssize_t got = LOAD_ROOM;
    while (client_socket_has_more(&streams->socket, got, LOAD_ROOM) && streams->socket.fd >= 0) {
        got = client_socket_recv(&streams->socket, room, LOAD_ROOM);
        if (got == -EAGAIN)
            return;
        if (got <= 0)
            broke(streams, got ? load_trouble(streams->load, &streams->socket, (int)got)
                               : "the server closed it");
        else if (nghttp2_session_mem_recv(streams->session, (const uint8_t *)room, (size_t)got) < 0)
            broke(streams, "what came is not HTTP/2");
    }
}

static void ready(struct load_watch *watch, uint32_t events)
{
    struct streams *streams = container_of(watch, struct streams, watch);
    if (streams->socket.fd >= 0 && events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        receive(streams);
    if (streams->socket.fd >= 0)
        flush(streams);
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int begin_session(struct streams *streams)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW}, {NGHTTP2_SETTINGS_ENABLE_PUSH, 0}};
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks))
        return -ENOMEM;
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int result = nghttp2_session_client_new(&streams->session, callbacks, streams);
    nghttp2_session_callbacks_del(callbacks);
    if (!result)
        result = nghttp2_submit_settings(streams->session, 0, settings, 2);
    if (!result)
        result = nghttp2_session_set_local_window_size(streams->session, 0, 0, CONNECTION_WINDOW);
    return result ? -ENOMEM : 0;
}

static struct streams *connect_to(struct load *load, const struct streams_ops *ops)
{
    struct streams *streams = mem_alloc(sizeof(*streams));
    *streams = (struct streams){.watch = {ready}, .load = load, .next = load->streams, .ops = ops};
    load->streams = streams;
    streams->socket.fd = -1;
    return load_connect(load->epoll_fd, load_server(load), 0, &streams->watch, &streams->socket) ||
                   begin_session(streams)
               ? NULL
               : streams;
}

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.at, (uint8_t *)(uintptr_t)value.at, name.len,
                        value.len, NGHTTP2_NV_FLAG_NONE};
}

static int submit(struct streams *streams, void *owner, const struct http_head *head)
{
    nghttp2_nv fields[FIELDS_MAX] = {
        field(STR(":method"), head->method_raw),
        field(STR(":scheme"), streams->socket.ssl ? STR("https") : STR("http")),
        field(STR(":path"), head->target), field(STR(":authority"), head->host)};
    size_t count = 4;
    for (size_t i = 0; i < head->fields.count && count < FIELDS_MAX; i++) {
        struct str name = head->fields.at[i].name;
        if (!str_eq_nocase(name, STR("host")) && !str_eq_nocase(name, STR("connection")))
            fields[count++] = field(name, head->fields.at[i].value);
    }
    int id = nghttp2_submit_request(streams->session, NULL, fields, count, NULL, owner);
    streams->count++;
    return id < 0 ? -ENOMEM : 0;
}

int streams_open(struct load *load, const struct streams_ops *ops, void *owner, struct str request)
{
    static const struct http_limits limits = HTTP_LIMITS_DEFAULT;
    struct streams *streams = load->streams;
    struct http_scan scan = {0};
    struct http_head head;
    if (http_head_parse(request, &limits, &scan, &head))
        return -EINVAL;
    if (!streams || streams->socket.fd < 0 || streams->count >= load->plan->streams)
        streams = connect_to(load, ops);
    if (!streams)
        return -ECONNREFUSED;
    int result = submit(streams, owner, &head);
    flush(streams); /* nothing leaves before the socket is connected */
    return result;
}

void streams_close(struct load *load)
{
    for (struct streams *streams; (streams = load->streams);) {
        load->streams = streams->next;
        nghttp2_session_del(streams->session);
        buf_free(&streams->out);
        client_socket_close(&streams->socket);
        free(streams);
    }
}
