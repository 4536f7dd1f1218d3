#include "courier/delivery.h"

#include "courier/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { DAY_MS = 24 * 3600 * 1000, RESPONSE_MAX = 16 * 1024, CONNECTIONS_MAX = 1000 };

int deliveries_init(struct deliveries *deliveries, bool allow_loopback, int64_t timeout_ms)
{
    *deliveries = (struct deliveries){.allow_loopback = allow_loopback, .timeout_ms = timeout_ms};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(deliveries->multi = curl_multi_init()))
        return -ENOMEM;
    curl_multi_setopt(deliveries->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
    return 0;
}

void deliveries_deinit(struct deliveries *deliveries)
{
    curl_multi_cleanup(deliveries->multi);
}

static void clean(struct delivery *delivery)
{
    if (!delivery->easy)
        return;
    curl_multi_remove_handle(delivery->deliveries->multi, delivery->easy);
    curl_easy_cleanup(delivery->easy);
    curl_slist_free_all(delivery->headers);
    delivery->easy = NULL;
    delivery->headers = NULL;
    delivery->deliveries->inflight--;
}

void delivery_cancel(struct delivery *delivery)
{
    clean(delivery);
    buf_free(&delivery->body);
}

static void finish(CURL *easy, CURLcode result)
{
    struct delivery *delivery = NULL;
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&delivery);
    if (!result)
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    clean(delivery);
    delivery->done(delivery, status,
                   delivery->refused ? "this address is not allowed" : curl_easy_strerror(result));
}

void deliveries_turn(struct deliveries *deliveries)
{
    int running, left;
    CURLMsg *message;
    curl_multi_perform(deliveries->multi, &running);
    while ((message = curl_multi_info_read(deliveries->multi, &left)))
        if (message->msg == CURLMSG_DONE)
            finish(message->easy_handle, message->data.result);
}

void deliveries_wait(struct deliveries *deliveries, int fd, int wait_ms)
{
    struct curl_waitfd extra = {.fd = fd, .events = CURL_WAIT_POLLIN};
    curl_multi_poll(deliveries->multi, &extra, 1, wait_ms, NULL);
}

/* ---- one request ----------------------------------------------------------------------------- */

/* The only place that sees the address really connected to; a name may have several. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct delivery *delivery = context;
    (void)purpose;
    if (!policy_allows(&address->addr, delivery->deliveries->allow_loopback)) {
        delivery->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t read_body(char *bytes, size_t size, size_t count, void *context)
{
    (void)bytes;
    (void)context;
    return size * count <= RESPONSE_MAX ? size * count : 0;
}

int64_t delivery_retry_after(const char *value, int64_t now_s)
{
    char *end;
    int64_t seconds = strtoll(value, &end, 10);
    if (end == value)
        seconds = curl_getdate(value, NULL) - now_s;
    if (seconds <= 0)
        return 0;
    return seconds > DAY_MS / 1000 ? DAY_MS : seconds * 1000;
}

static size_t read_header(char *line, size_t size, size_t count, void *context)
{
    static const char name[] = "retry-after:";
    struct delivery *delivery = context;
    char value[64];
    size_t len = size * count, from = sizeof(name) - 1;
    if (len > from && len - from < sizeof(value) && strncasecmp(line, name, from) == 0) {
        memcpy(value, line + from, len - from);
        value[len - from] = '\0';
        delivery->retry_after_ms = delivery_retry_after(value, time(NULL));
    }
    return len;
}

static bool add_header(struct delivery *delivery, const char *name, struct str value)
{
    struct buf line = {0};
    buf_addf(&line, "%s: %.*s", name, STR_FMT(value));
    buf_add_char(&line, '\0');
    struct curl_slist *headers =
        buf_failed(&line) ? NULL : curl_slist_append(delivery->headers, line.at);
    buf_free(&line);
    if (headers)
        delivery->headers = headers;
    return headers != NULL;
}

static bool add_headers(struct delivery *delivery, const struct sign_key *key, struct str id,
                        int64_t now_s)
{
    struct buf signature = {0}, time_ = {0};
    sign_add(&signature, key, id, now_s, buf_str(&delivery->body));
    buf_addf(&time_, "%lld", (long long)now_s);
    bool good = !buf_failed(&signature) && !buf_failed(&time_) &&
                add_header(delivery, "webhook-id", id) &&
                add_header(delivery, "webhook-timestamp", buf_str(&time_)) &&
                add_header(delivery, "webhook-signature", buf_str(&signature)) &&
                add_header(delivery, "Content-Type", STR("application/json")) &&
                add_header(delivery, "Expect", STR_NONE);
    buf_free(&signature);
    buf_free(&time_);
    return good;
}

static void set_options(struct delivery *delivery, const char *url)
{
    CURL *easy = delivery->easy;
    long timeout = (long)delivery->deliveries->timeout_ms;
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, delivery->body.at);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)delivery->body.len);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, delivery->headers);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, read_body);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, read_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, delivery);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, delivery);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, delivery);
}

int delivery_start(struct deliveries *deliveries, struct delivery *delivery, const char *url,
                   const struct sign_key *key, struct str id, int64_t now_s)
{
    delivery->deliveries = deliveries;
    delivery->refused = false;
    delivery->retry_after_ms = 0;
    delivery->easy = curl_easy_init();
    if (!delivery->easy)
        return -ENOMEM;
    deliveries->inflight++;
    if (!add_headers(delivery, key, id, now_s)) {
        clean(delivery);
        return -ENOMEM;
    }
    set_options(delivery, url);
    curl_multi_add_handle(deliveries->multi, delivery->easy);
    return 0;
}

bool delivery_url_valid(const char *url)
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *user = NULL;
    bool good = parts && !curl_url_set(parts, CURLUPART_URL, url, 0) &&
                !curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                curl_url_get(parts, CURLUPART_USER, &user, 0) != CURLUE_OK;
    curl_free(scheme);
    curl_free(user);
    curl_url_cleanup(parts);
    return good;
}
