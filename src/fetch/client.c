/* curl says which sockets it waits for and when it wants to be woken; the loop does the waiting.
 * The loop's own timers are too coarse for that, so curl's time is kept here and bounds the loop's
 * wait. Whatever happens within curl's callbacks is only noted: calls end in client_turn(). */
#include "fetch/client.h"

#include "base/say.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    HEADER_MAX = 64 << 10, /* beyond, the answer is refused */
    DISCARD_MAX = 1 << 20, /* beyond, the rest of an answer is not waited for */
};

struct socket_watch {
    struct watch watch;
    struct list node; /* in client->unwatched once it is over */
    struct client *client;
    curl_socket_t fd; /* CURL_SOCKET_BAD once it is over */
};

static void act(struct client *client, curl_socket_t fd, int what)
{
    int running;
    (void)curl_multi_socket_action(client->multi, fd, what, &running);
}

static void on_ready(struct watch *watch, uint32_t events)
{
    struct socket_watch *own = container_of(watch, struct socket_watch, watch);
    if (own->fd == CURL_SOCKET_BAD)
        return;
    act(own->client, own->fd,
        (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
            (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0));
}

static uint32_t events_of(int what)
{
    return (what & CURL_POLL_IN ? (uint32_t)EPOLLIN : 0) |
           (what & CURL_POLL_OUT ? (uint32_t)EPOLLOUT : 0);
}

static void unwatch(struct client *client, curl_socket_t fd, struct socket_watch *watch)
{
    loop_unwatch(client->loop, fd);
    watch->fd = CURL_SOCKET_BAD;
    list_add_last(&client->unwatched, &watch->node);
}

static struct call *call_of(CURL *easy)
{
    struct call *call = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
    return call;
}

static void note_stranded(struct client *client, struct call *call)
{
    bool is_unsent = call && call->is_under_way && !call->sendings;
    if (is_unsent && !list_linked(&call->stranded))
        list_add_last(&client->stranded, &call->stranded);
}

/* An address of a name has refused, or kept silent for too long. libcurl 7.88 then turns to the
 * next one, but connects only when it looks at the request again, and asks nobody for that: the
 * request would wait until it times out. Pausing a request and letting it go has libcurl look. */
static void go_on_stranded(struct client *client)
{
    for (struct list *node; (node = list_take_first(&client->stranded));) {
        struct call *call = container_of(node, struct call, stranded);
        curl_easy_pause(call->easy, CURLPAUSE_RECV);
        curl_easy_pause(call->easy, CURLPAUSE_CONT);
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *socket_context)
{
    struct client *client = context;
    struct socket_watch *watch = socket_context;
    if (what == CURL_POLL_REMOVE) {
        if (watch)
            unwatch(client, fd, watch);
        note_stranded(client, call_of(easy));
        return 0;
    }
    if (watch)
        return loop_rewatch(client->loop, fd, events_of(what), &watch->watch) ? -1 : 0;
    watch = mem_alloc(sizeof(*watch));
    *watch = (struct socket_watch){.watch = {on_ready}, .client = client, .fd = fd};
    curl_multi_assign(client->multi, fd, watch);
    if (!loop_watch(client->loop, fd, events_of(what), &watch->watch))
        return 0;
    return loop_rewatch(client->loop, fd, events_of(what), &watch->watch) ? -1 : 0;
}

static int on_timer(CURLM *multi, long after_ms, void *context)
{
    struct client *client = context;
    (void)multi;
    client->due_ns =
        after_ms < 0 ? 0 : clock_now_ns(client->loop->clock) + after_ms * INT64_C(1000000);
    return 0;
}

static int start_by_curl(struct client *client, struct call *call,
                         const struct call_request *request);
static void stop_by_curl(struct call *call);

static const struct client_ops by_curl = {start_by_curl, stop_by_curl};

int client_init(struct client *client, struct loop *loop, const struct address_policy *policy,
                int64_t timeout_ms, unsigned connections_max)
{
    *client = (struct client){.ops = &by_curl,
                              .loop = loop,
                              .policy = *policy,
                              .timeout_ms = timeout_ms,
                              .connections_max = connections_max};
    list_init(&client->unwatched);
    list_init(&client->stranded);
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return -ENOMEM;
    client->multi = curl_multi_init();
    if (!client->multi) {
        curl_global_cleanup();
        return -ENOMEM;
    }
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    /* Idle connections count as well: curl closes the oldest of them for a new one. */
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)connections_max);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)connections_max);
    return 0;
}

static void free_unwatched(struct client *client)
{
    for (struct list *node; (node = list_take_first(&client->unwatched));)
        free(container_of(node, struct socket_watch, node));
}

void client_deinit(struct client *client)
{
    if (!client->multi)
        return;
    for (unsigned i = 0; i < client->spares_count; i++)
        curl_easy_cleanup(client->spares[i]);
    curl_multi_cleanup(client->multi);
    free_unwatched(client);
    curl_global_cleanup();
    client->multi = NULL;
}

int client_wait_ms(const struct client *client)
{
    if (!client->due_ns)
        return -1;
    int64_t left = client->due_ns - clock_now_ns(client->loop->clock);
    return left <= 0 ? 0 : (int)(left / 1000000 + 1);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    size_t most = call->response_max ? call->response_max : CLIENT_RESPONSE_MAX;
    size_t len = size * count, room = most - call->response.len;
    buf_add(&call->response, bytes, len < room ? len : room);
    call->response_size += len;
    return call->response_size > DISCARD_MAX ? 0 : len;
}

static void keep_value(char *place, size_t size, struct str value)
{
    value = str_trim(value);
    if (!value.len || value.len >= size)
        return;
    memcpy(place, value.at, value.len);
    place[value.len] = '\0';
}

static void keep_header(struct call *call, struct str name, struct str value)
{
    if (str_eq_nocase(name, STR("retry-after")))
        keep_value(call->retry_after, sizeof(call->retry_after), value);
    else if (str_eq_nocase(name, STR("webhook-allowed-origin")))
        keep_value(call->allowed_origin, sizeof(call->allowed_origin), value);
}

/* The status is the receiver's verdict once the head is whole, whatever becomes of the body. */
static void end_head(struct call *call)
{
    long status = 0;
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) /* below, it is an interim answer */
        call->status = (int)status;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context)
{
    struct call *call = context;
    struct str line = {bytes, size * count};
    while (line.len && (line.at[line.len - 1] == '\n' || line.at[line.len - 1] == '\r'))
        line.len--;
    call->header_size += size * count;
    if (call->header_size > HEADER_MAX)
        return 0;
    if (!line.len)
        end_head(call);
    if (str_starts(line, STR("HTTP/"))) /* the lines before belong to an interim response */
        call->retry_after[0] = call->allowed_origin[0] = '\0';
    struct str rest = line, name = str_cut(&rest, ':');
    if (rest.at)
        keep_header(call, name, rest);
    return size * count;
}

/* ---- a request ------------------------------------------------------------------------------- */

/* libcurl repeats a request by itself when a kept connection closes without an answer, up to five
 * times and at once. The receiver may have acted on each of them, and neither the schedule nor the
 * delivery log would know. A request is therefore repeated only if no byte of it was sent, or if it
 * changes nothing at the receiver (RFC 9110 section 9.2.2): once, and on a new connection. */
static bool may_send(struct call *call)
{
    long sent = 0;
    curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &sent);
    call->unanswered = (sent > 0 && !call->repeats) || call->sendings > 1;
    return !call->unanswered;
}

/* curl calls this before each sending of the request, once it has a connection for it. */
static int on_send(void *context, char *address, char *own_address, int port, int own_port)
{
    struct call *call = context;
    (void)own_address, (void)port, (void)own_port;
    if (!may_send(call))
        return CURL_PREREQFUNC_ABORT;
    /* The connection may be kept from a time when the policy was another. */
    call->forbidden =
        !call->trusted && !address_text_allowed(str_from(address), &call->client->policy);
    if (call->forbidden)
        return CURL_PREREQFUNC_ABORT;
    call->sendings++;
    curl_easy_setopt(call->easy, CURLOPT_FRESH_CONNECT, 1L); /* holds for a second sending */
    return CURL_PREREQFUNC_OK;
}

/* The address that is connected to, not one that the name had a moment before. A name may list a
 * thousand addresses that refuse at once, all of which libcurl would try within one turn of the
 * loop: without a socket it passes them over. */
static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct call *call = context;
    (void)purpose;
    if (!may_send(call))
        return CURL_SOCKET_BAD;
    if (!call->trusted && !address_allowed(&address->addr, &call->client->policy)) {
        call->forbidden = true;
        return CURL_SOCKET_BAD;
    }
    if (call->addresses < CLIENT_ADDRESSES_MAX + 1)
        call->addresses++;
    if (call->addresses > CLIENT_ADDRESSES_MAX)
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
                  address->protocol);
}

static void set_guards(CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* ignores proxies of the environment */
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A name server that does not answer must not be waited for when a call has timed out. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
}

static void set_method(CURL *easy, enum call_method method, struct str body)
{
    if (method == CALL_OPTIONS)
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "OPTIONS");
    if (method != CALL_POST)
        return;
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.at ? body.at : "");
}

/* Notes what the configuration says of the URL's host. */
static void look_at_host(struct call *call, const char *url)
{
    const struct client *client = call->client;
    bool is_asked = client->policy.hosts_count || client->identity.hosts_count;
    CURLU *parts = is_asked ? curl_url() : NULL;
    char *host = NULL;
    bool found = parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
                 curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK;
    call->trusted = found && address_host_trusted(str_from(host), &client->policy);
    call->identified = found && identity_is_for(&client->identity, str_from(host));
    curl_free(host);
    curl_url_cleanup(parts);
}

static void set_text(CURL *easy, CURLoption option, struct str text)
{
    struct curl_blob blob = {.data = (void *)(uintptr_t)text.at, /* it is only read */
                             .len = text.len,
                             .flags = CURL_BLOB_COPY};
    if (text.len)
        curl_easy_setopt(easy, option, &blob);
}

/* The folder of the system's authorities counts besides. A connection that is kept from a time when
 * the authorities, or the own certificate, were others is not used again: curl compares them. */
static void set_certificates(CURL *easy, const struct call *call)
{
    const struct client *client = call->client;
    set_text(easy, CURLOPT_CAINFO_BLOB, client->authorities);
    if (!call->identified)
        return;
    set_text(easy, CURLOPT_SSLCERT_BLOB, client->identity.cert);
    set_text(easy, CURLOPT_SSLKEY_BLOB, client->identity.key);
}

static void set_call(struct call *call, const char *url)
{
    CURL *easy = call->easy;
    int64_t timeout_ms = call->timeout_ms ? call->timeout_ms : call->client->timeout_ms;
    set_guards(easy);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    set_certificates(easy, call);
}

static void put_away(struct call *call)
{
    struct client *client = call->client;
    if (client->spares_count < CLIENT_SPARES) {
        curl_easy_reset(call->easy);
        client->spares[client->spares_count++] = call->easy;
    } else {
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->resolve);
    curl_slist_free_all(call->headers);
    call->resolve = NULL;
    call->easy = NULL;
    call->headers = NULL;
}

static int start_by_curl(struct client *client, struct call *call,
                         const struct call_request *request)
{
    look_at_host(call, request->url);
    call->easy = client->spares_count ? client->spares[--client->spares_count] : curl_easy_init();
    if (!call->easy) {
        curl_slist_free_all(request->headers);
        return -ENOMEM;
    }
    call->headers = request->headers;
    for (const char *const *line = client->resolve; line && *line; line++)
        call->resolve = curl_slist_append(call->resolve, *line);
    curl_easy_setopt(call->easy, CURLOPT_RESOLVE, call->resolve);
    set_call(call, request->url);
    set_method(call->easy, request->method, request->body);
    if (!curl_multi_add_handle(client->multi, call->easy))
        return 0;
    put_away(call);
    return -ENOMEM;
}

static void stop_by_curl(struct call *call)
{
    curl_multi_remove_handle(call->client->multi, call->easy);
    put_away(call);
}

static int start(struct client *client, struct call *call, const struct call_request *request)
{
    buf_clear(&call->response);
    call->client = client;
    call->status = 0;
    call->error = NULL;
    call->timed_out = false;
    call->forbidden = call->unanswered = false;
    call->repeats = call->repeatable || request->method != CALL_POST;
    call->sendings = call->addresses = 0;
    call->retry_after[0] = call->allowed_origin[0] = '\0';
    call->response_size = call->header_size = 0;
    call->started_ns = clock_now_ns(client->loop->clock);
    int result = client->ops->start(client, call, request);
    call->is_under_way = !result;
    client->inflight += call->is_under_way;
    return result;
}

int call_post(struct client *client, struct call *call, const char *url, struct curl_slist *headers,
              struct str body)
{
    return start(client, call, &(struct call_request){CALL_POST, url, headers, body});
}

int call_options(struct client *client, struct call *call, const char *url,
                 struct curl_slist *headers)
{
    return start(client, call, &(struct call_request){CALL_OPTIONS, url, headers, STR_NONE});
}

int call_get(struct client *client, struct call *call, const char *url)
{
    return start(client, call, &(struct call_request){CALL_GET, url, NULL, STR_NONE});
}

static void leave(struct call *call)
{
    call->is_under_way = false;
    list_remove(&call->stranded);
    call->client->inflight--;
    call->client->ops->stop(call);
}

void call_end(struct call *call)
{
    call->ended_ns = clock_now_ns(call->client->loop->clock);
    leave(call);
    call->done(call);
}

/* The reason why a certificate is refused, in words for the person who can replace it. */
static const char *certificate_error(CURL *easy)
{
    long why = X509_V_ERR_UNSPECIFIED;
    curl_easy_getinfo(easy, CURLINFO_SSL_VERIFYRESULT, &why);
    switch (why) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the receiver's certificate, or one that signs it, has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the receiver's certificate, or one that signs it, is not valid yet";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "the receiver's certificate is self-signed";
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "the receiver's certificate is signed by an authority that is not known here, or "
               "the receiver does not send the certificates between the two";
    case X509_V_ERR_CERT_REVOKED:
        return "the receiver's certificate was revoked";
    case X509_V_ERR_INVALID_PURPOSE:
        return "the receiver's certificate is not one for servers";
    case X509_V_OK:
    case X509_V_ERR_UNSPECIFIED: /* curl compares the names itself, and leaves no reason */
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "the receiver's certificate is for another name than the URL has";
    default:
        return "the receiver's certificate cannot be verified";
    }
}

#define TOO_MANY_ADDRESSES "none of the first 8 addresses of the host could be connected to"
_Static_assert(CLIENT_ADDRESSES_MAX == 8, "as TOO_MANY_ADDRESSES says");

static const char *no_answer_error(const struct call *call, CURLcode result)
{
    if (result == CURLE_PEER_FAILED_VERIFICATION)
        return certificate_error(call->easy);
    if (result == CURLE_COULDNT_CONNECT && call->addresses > CLIENT_ADDRESSES_MAX)
        return TOO_MANY_ADDRESSES;
    if (result == CURLE_SSL_CONNECT_ERROR)
        return "TLS could not be agreed on: the receiver may not speak TLS on this port";
    if (result == CURLE_SSL_CERTPROBLEM)
        return "this server's own certificate or its key cannot be used: see webhooks.cert_file";
    return curl_easy_strerror(result);
}

static const char *error_of(const struct call *call, CURLcode result)
{
    if (call->forbidden)
        return "the address is not allowed";
    if (call->unanswered)
        return "the receiver closed the connection without an answer";
    if (!call->status && call->header_size > HEADER_MAX)
        return "the head of the answer is over 64 KiB";
    if (result == CURLE_OK)
        return "the connection closed within the head of the answer";
    if (!call->status)
        return no_answer_error(call, result);
    if (result == CURLE_OPERATION_TIMEDOUT)
        return "the body of the answer did not end in time";
    return "the body of the answer broke off";
}

static void finish(CURL *easy, CURLcode result)
{
    struct call *call = call_of(easy);
    /* An answer of endless length is an answer. */
    bool whole = result == CURLE_OK || call->response_size > DISCARD_MAX;
    call->error = whole && call->status ? NULL : error_of(call, result);
    call->timed_out = call->error && result == CURLE_OPERATION_TIMEDOUT;
    call_end(call);
}

void client_turn(struct client *client)
{
    CURLMsg *message;
    int left;
    if (client->due_ns && client->due_ns <= clock_now_ns(client->loop->clock)) {
        client->due_ns = 0;
        act(client, CURL_SOCKET_TIMEOUT, 0);
    }
    go_on_stranded(client);
    while ((message = curl_multi_info_read(client->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            finish(message->easy_handle, message->data.result);
    free_unwatched(client);
}

void call_cancel(struct call *call)
{
    if (call->is_under_way)
        leave(call);
}

void call_free(struct call *call)
{
    call_cancel(call);
    buf_free(&call->response);
}
