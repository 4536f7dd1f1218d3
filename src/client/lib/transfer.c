#include "client/lib/transfer.h"

#include "client/lib/advice.h"
#include "client/lib/record.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/visible.h"
#include "client/lib/certificate_names.h"

#include <curl/curl.h>
#include <stdlib.h>

enum { CONNECT_MS = 10000, TURN_MS = 1000, GRACE_TURN_MS = 100 };

struct transfer {
    CURL *easy;
    CURLM *multi;
    const struct interrupt *interrupt;
    size_t body_max;
    char error[CURL_ERROR_SIZE];
    /* for the current request */
    const struct transfer_request *request;
    struct transfer_answer *answer;
    int64_t heard_ns;
    int64_t grace_until_ns; /* 0: no signal came */
    bool stopped;
};

/* ---- bytes in -------------------------------------------------------------------------------- */

static bool gather(struct transfer *transfer, struct str bytes)
{
    struct buf *body = &transfer->answer->body;
    if (bytes.len > transfer->body_max - body->len)
        return false;
    buf_add_str(body, bytes);
    return !buf_failed(body);
}

static size_t on_bytes(char *at, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    const struct transfer_request *request = transfer->request;
    struct str bytes = {at, size * count};
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    bool good = true;
    if (status == 200 && request->take) {
        transfer->stopped = request->take(request->owner, bytes);
        good = !transfer->stopped;
    } else {
        good = gather(transfer, bytes);
    }
    /* Read the clock after the bytes are handled: a slow reader on our side is not a quiet
     * server. */
    transfer->heard_ns = clock_now_ns(clock_system());
    return good ? bytes.len : 0;
}

static size_t on_header(char *at, size_t size, size_t count, void *context)
{
    struct transfer *transfer = context;
    (void)at;
    transfer->heard_ns = clock_now_ns(clock_system());
    return size * count;
}

/* ---- making the request ---------------------------------------------------------------------- */

/* libcurl's own authorities are a file and a folder; the user's replace both. */
static void use_trust(CURL *easy, const struct trust *trust)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (trust->authorities) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, trust->authorities);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    if (trust->cert) {
        curl_easy_setopt(easy, CURLOPT_SSLCERT, trust->cert);
        curl_easy_setopt(easy, CURLOPT_SSLKEY, trust->cert_key ? trust->cert_key : trust->cert);
        curl_easy_setopt(easy, CURLOPT_KEYPASSWD, ""); /* asks nobody on the terminal */
    }
    if (trust->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    } else {
        (void)certificate_names_require(easy);
    }
}

struct transfer *transfer_new(const struct interrupt *interrupt, bool direct,
                              const struct trust *trust, size_t body_max)
{
    struct transfer *transfer = mem_alloc(sizeof(*transfer));
    transfer->interrupt = interrupt;
    transfer->body_max = body_max;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    transfer->easy = curl_easy_init();
    transfer->multi = curl_multi_init();
    if (!transfer->easy || !transfer->multi) {
        transfer_free(transfer);
        return NULL;
    }
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L); /* the server must see `..` and refuse it */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "freshet/" FRESHET_VERSION);
    if (direct)
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
    use_trust(easy, trust);
    return transfer;
}

void transfer_free(struct transfer *transfer)
{
    if (!transfer)
        return;
    curl_easy_cleanup(transfer->easy);
    curl_multi_cleanup(transfer->multi);
    curl_global_cleanup();
    free(transfer);
}

static bool add_header(struct curl_slist **list, const char *name, const char *value)
{
    struct buf line = {0};
    struct curl_slist *longer = NULL;
    buf_addf(&line, "%s%s", name, value);
    buf_add_char(&line, '\0');
    if (!buf_failed(&line))
        longer = curl_slist_append(*list, line.at);
    buf_free(&line);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* NULL if there is no memory. */
static struct curl_slist *headers_of(const struct transfer_request *request)
{
    struct curl_slist *list = NULL;
    bool good = add_header(&list, "Expect:", ""); /* avoids a round trip before the body */
    if (good && request->post)
        good = add_header(&list, "Content-Type: ", request->content_type);
    if (good && request->token)
        good = add_header(&list, "Authorization: Bearer ", request->token);
    if (good)
        return list;
    curl_slist_free_all(list);
    return NULL;
}

static void prepare(struct transfer *transfer, const struct transfer_request *request,
                    struct curl_slist *headers)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    if (request->post) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body.len ? request->body.at : "");
    } else {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

/* ---- running it ------------------------------------------------------------------------------ */

static bool is_quiet(const struct transfer *transfer)
{
    int64_t ms = (clock_now_ns(clock_system()) - transfer->heard_ns) / 1000000;
    return ms > transfer->request->quiet_ms;
}

/* Whether to end the transfer: after a signal, at once or when the grace period is over. */
static bool must_stop(struct transfer *transfer)
{
    const struct transfer_request *request = transfer->request;
    int64_t now_ns = clock_now_ns(clock_system());
    if (interrupt_is_unread(request->watched_fd))
        return true;
    if (!transfer->grace_until_ns && interrupt_came(transfer->interrupt))
        transfer->grace_until_ns = now_ns + request->grace_ms * 1000000;
    return transfer->grace_until_ns && now_ns >= transfer->grace_until_ns;
}

static int wait_for_more(struct transfer *transfer)
{
    /* The signal's descriptor stays readable; do not poll it again after the first time. */
    int signal_fd = transfer->grace_until_ns ? -1 : transfer->interrupt->fd;
    int wanted[] = {signal_fd, transfer->request->watched_fd};
    struct curl_waitfd fds[2];
    unsigned count = 0;
    for (size_t i = 0; i < 2; i++)
        if (wanted[i] >= 0)
            fds[count++] =
                (struct curl_waitfd){.fd = wanted[i], .events = i == 0 ? CURL_WAIT_POLLIN : 0};
    int turn_ms = transfer->grace_until_ns ? GRACE_TURN_MS : TURN_MS;
    if (curl_multi_poll(transfer->multi, fds, count, turn_ms, NULL))
        return TRANSFER_E_BROKEN;
    if (must_stop(transfer))
        return TRANSFER_STOPPED;
    return is_quiet(transfer) ? TRANSFER_E_QUIET : 0;
}

/* The result of a transfer that libcurl has finished. */
static int outcome(struct transfer *transfer)
{
    int left;
    const CURLMsg *message = curl_multi_info_read(transfer->multi, &left);
    CURLcode code = message ? message->data.result : CURLE_RECV_ERROR;
    if (transfer->stopped)
        return TRANSFER_STOPPED;
    if (code && !transfer->error[0])
        (void)snprintf(transfer->error, sizeof(transfer->error), "%s", curl_easy_strerror(code));
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_SSL_CONNECT_ERROR:
        return TRANSFER_E_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return TRANSFER_E_TRUST;
    default:
        return TRANSFER_E_BROKEN;
    }
}

static int perform(struct transfer *transfer)
{
    int running = 1, result = 0;
    if (curl_multi_add_handle(transfer->multi, transfer->easy))
        return TRANSFER_E_BROKEN;
    while (!result) {
        if (curl_multi_perform(transfer->multi, &running))
            result = TRANSFER_E_BROKEN;
        else if (!running)
            break;
        else
            result = wait_for_more(transfer);
    }
    if (!result)
        result = outcome(transfer);
    curl_multi_remove_handle(transfer->multi, transfer->easy);
    return result;
}

static const char *advice_about(struct transfer *transfer, int result)
{
    long error = 0;
    struct str cause = str_from(transfer->error);
    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &error);
    if (!result)
        return transfer->answer->status == 401 && !transfer->request->token ? ADVICE_NO_CREDENTIAL
                                                                            : "";
    if (str_starts(cause, STR("Could not resolve host")))
        return ADVICE_NO_HOST;
    if (result != TRANSFER_E_CONNECT && result != TRANSFER_E_TRUST)
        return "";
    const char *advice = advice_of_tls(cause);
    return *advice ? advice : advice_of_error((int)error);
}

static void read_outcome(struct transfer *transfer, int result)
{
    struct transfer_answer *answer = transfer->answer;
    curl_off_t seconds = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds);
    answer->retry_after_ms = seconds > 0 && seconds <= 86400 ? (uint64_t)seconds * 1000 : 0;
    visible_blank(transfer->error,
                  strlen(transfer->error)); /* names of a certificate, for example */
    answer->error = result == TRANSFER_E_QUIET ? "the server has gone quiet" : transfer->error;
    answer->advice = advice_about(transfer, result);
}

int transfer_run(struct transfer *transfer, const struct transfer_request *request,
                 struct transfer_answer *answer)
{
    transfer->request = request;
    transfer->answer = answer;
    transfer->heard_ns = clock_now_ns(clock_system());
    transfer->grace_until_ns = 0;
    transfer->stopped = false;
    transfer->error[0] = '\0';
    buf_clear(&answer->body);
    answer->status = 0;
    answer->advice = "";
    struct curl_slist *headers = headers_of(request);
    if (!headers) {
        answer->error = "there is no memory";
        return TRANSFER_E_BROKEN;
    }
    prepare(transfer, request, headers);
    int result = perform(transfer);
    read_outcome(transfer, result);
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return result;
}

void transfer_answer_deinit(struct transfer_answer *answer)
{
    buf_free(&answer->body);
}

void transfer_explain(const struct transfer_answer *answer, struct buf *out)
{
    buf_addf(out, "%ld: ", answer->status);
    size_t before = out->len;
    record_add_problem(buf_str(&answer->body), out);
    if (out->len == before)
        buf_add_lit(out, "the answer is none of freshet's: look at the URL of the server");
}

bool transfer_status_is_passing(long status)
{
    if (status == 501 || status == 505 || status == 507)
        return false;
    return status >= 500 || status == 408 || status == 425 || status == 429;
}
