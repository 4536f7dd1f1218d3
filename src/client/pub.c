#include "client/client.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "client/lines.h"
#include "client/options.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char client_pub_help[] =
    "freshet pub CHANNEL [DATA | -] [--type T] [--key K] [--json] [--content-type T]\n"
    "            [--url URL] [--token T]\n\n"
    "Publishes DATA and prints the event's id. With - or without DATA every line of standard input "
    "is\n"
    "an event; lines are sent in batches, in order, and sent again until they are acknowledged.\n\n"
    "  --type T          the events' type (message)\n"
    "  --key K           idempotency key, for one event\n"
    "  --json            the data is JSON\n"
    "  --content-type T  of DATA\n"
    "  --url URL         the server, default $FRESHET_URL or http://127.0.0.1:7070\n"
    "  --token T         sent as a bearer token, default $FRESHET_TOKEN\n";

enum { BATCH_MAX = 500, GATHER_MS = 20, TRIES_MAX = 30, WAIT_MAX_S = 30 };

struct pub {
    CURL *curl;
    struct str url;
    const char *channel, *type, *key, *content_type, *token;
    bool json;
    struct buf answer;
    char run[17]; /* makes the keys of this run's lines */
    uint64_t sent;
};

static size_t collect(char *bytes, size_t size, size_t count, void *context)
{
    buf_add(context, bytes, size * count);
    return size * count;
}

static void complain(const struct pub *pub, long status)
{
    struct buf text = {0};
    struct str detail = json_member(buf_str(&pub->answer), STR("detail"));
    if (!detail.at || json_unescape(detail, &text))
        buf_add_str(&text, buf_str(&pub->answer));
    fprintf(stderr, "freshet pub: refused with %ld: %.*s\n", status, (int)text.len,
            text.at ? text.at : "");
    buf_free(&text);
}

static struct curl_slist *add_header(struct curl_slist *headers, const char *name,
                                     const char *value)
{
    char line[1024];
    if (!value)
        return headers;
    snprintf(line, sizeof(line), "%s: %s", name, value);
    return curl_slist_append(headers, line);
}

static struct curl_slist *headers_of(const struct pub *pub, const char *content_type, bool one)
{
    char bearer[900];
    struct curl_slist *headers = add_header(NULL, "Content-Type", content_type);
    headers = add_header(headers, "Event-Type", one ? pub->type : NULL);
    headers = add_header(headers, "Idempotency-Key", one ? pub->key : NULL);
    if (pub->token) {
        snprintf(bearer, sizeof(bearer), "Bearer %s", pub->token);
        headers = add_header(headers, "Authorization", bearer);
    }
    return add_header(headers, "Expect", "");
}

/* One POST; the status, or 0 when the server could not be reached. */
static long post(struct pub *pub, const char *path, struct str body, struct curl_slist *headers)
{
    char url[2048];
    long status = 0;
    snprintf(url, sizeof(url), "%.*s%s", STR_FMT(pub->url), path);
    buf_clear(&pub->answer);
    curl_easy_setopt(pub->curl, CURLOPT_URL, url);
    curl_easy_setopt(pub->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(pub->curl, CURLOPT_POSTFIELDS, body.at ? body.at : "");
    curl_easy_setopt(pub->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    curl_easy_setopt(pub->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(pub->curl, CURLOPT_WRITEDATA, &pub->answer);
    CURLcode result = curl_easy_perform(pub->curl);
    if (result == CURLE_OK)
        curl_easy_getinfo(pub->curl, CURLINFO_RESPONSE_CODE, &status);
    else
        fprintf(stderr, "freshet pub: %s\n", curl_easy_strerror(result));
    return status;
}

static int publish_one(struct pub *pub, const char *data)
{
    struct buf path = {0};
    const char *type = pub->content_type ? pub->content_type
                       : pub->json       ? "application/json"
                                         : "text/plain; charset=utf-8";
    buf_add_lit(&path, "/channels");
    options_add_path(&path, pub->channel);
    buf_add_char(&path, '\0');
    struct curl_slist *headers = headers_of(pub, type, true);
    long status = post(pub, path.at, str_from(data), headers);
    curl_slist_free_all(headers);
    buf_free(&path);
    if (status < 200 || status > 299) {
        if (status)
            complain(pub, status);
        return 1;
    }
    struct str id = json_plain(buf_str(&pub->answer), STR("id"));
    printf("%.*s\n", (int)id.len, id.at ? id.at : "");
    return 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static bool add_line(struct pub *pub, struct buf *batch, struct str line)
{
    if (pub->json && json_check(line, JSON_DEPTH_MAX, NULL)) {
        fprintf(stderr, "freshet pub: line %llu is not JSON\n", (unsigned long long)pub->sent + 1);
        return false;
    }
    buf_add_lit(batch, "{\"channel\":");
    buf_add_json(batch, str_from(pub->channel));
    if (pub->type) {
        buf_add_lit(batch, ",\"type\":");
        buf_add_json(batch, str_from(pub->type));
    }
    buf_addf(batch, ",\"key\":\"%s-%llu\",\"data\":", pub->run, (unsigned long long)pub->sent);
    if (pub->json)
        buf_add_str(batch, line);
    else
        buf_add_json(batch, line);
    buf_add_lit(batch, "}\n");
    pub->sent++;
    return true;
}

/* Sends a batch until it is acknowledged: its keys make that safe. */
static int send_batch(struct pub *pub, struct buf *batch)
{
    struct curl_slist *headers = headers_of(pub, "application/x-ndjson", false);
    long status = 0;
    unsigned wait_s = 1;
    for (int i = 0; i < TRIES_MAX; i++) {
        status = post(pub, "/events", buf_str(batch), headers);
        if (status && status != 503 && status != 507 && status != 429)
            break;
        sleep(wait_s);
        wait_s = wait_s * 2 > WAIT_MAX_S ? WAIT_MAX_S : wait_s * 2;
    }
    curl_slist_free_all(headers);
    buf_clear(batch);
    if (status >= 200 && status <= 299)
        return 0;
    if (status)
        complain(pub, status);
    return 1;
}

/* Whether more is there within the time that a batch waits for company. */
static bool more_is_near(void)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&in, 1, GATHER_MS) > 0;
}

struct reader {
    struct pub *pub;
    struct buf batch;
    unsigned lines;
    int failed;
    int64_t told_ns;
};

static void flush(struct reader *reader)
{
    if (reader->lines && !reader->failed)
        reader->failed = send_batch(reader->pub, &reader->batch);
    reader->lines = 0;
    int64_t now = clock_now_ns(clock_system());
    if (isatty(STDERR_FILENO) && now - reader->told_ns > 1000000000) {
        fprintf(stderr, "\r%llu events", (unsigned long long)reader->pub->sent);
        reader->told_ns = now;
    }
}

static void on_line(void *context, struct str line)
{
    struct reader *reader = context;
    if (reader->failed || !line.len)
        return;
    if (!add_line(reader->pub, &reader->batch, line))
        reader->failed = 1;
    else if (++reader->lines == BATCH_MAX)
        flush(reader);
}

static int publish_lines(struct pub *pub)
{
    struct reader reader = {.pub = pub, .told_ns = clock_now_ns(clock_system())};
    struct lines lines = {0};
    char room[65536];
    uint64_t random;
    ssize_t n;
    hash_random(&random, sizeof(random));
    snprintf(pub->run, sizeof(pub->run), "%016llx", (unsigned long long)random);
    while (!reader.failed && (n = read(STDIN_FILENO, room, sizeof(room))) > 0) {
        lines_feed(&lines, (struct str){room, (size_t)n}, on_line, &reader);
        if (!more_is_near())
            flush(&reader);
    }
    lines_feed(&lines, STR("\n"), on_line, &reader);
    flush(&reader);
    fprintf(stderr, "%s%llu events published\n", isatty(STDERR_FILENO) ? "\r" : "",
            (unsigned long long)pub->sent);
    buf_free(&reader.batch);
    buf_free(&lines.partial);
    return reader.failed;
}

int client_pub(int argc, char **argv)
{
    struct pub pub = {.token = getenv("FRESHET_TOKEN")};
    const char *words[2], *url = NULL;
    const struct option_spec specs[] = {
        {.name = "--type", .value = &pub.type},
        {.name = "--key", .value = &pub.key},
        {.name = "--json", .set = &pub.json},
        {.name = "--content-type", .value = &pub.content_type},
        {.name = "--url", .value = &url},
        {.name = "--token", .value = &pub.token},
        {.name = NULL},
    };
    int count = options_read(argc, argv, specs, words, 2);
    if (count < 1) {
        if (!count)
            fprintf(stderr, "freshet pub: say which channel\n\n%s", client_pub_help);
        return 2;
    }
    pub.channel = words[0];
    pub.url = options_url(url);
    pub.curl = curl_easy_init();
    if (!pub.curl)
        return 1;
    bool lines = count == 1 || strcmp(words[1], "-") == 0;
    int code = lines ? publish_lines(&pub) : publish_one(&pub, words[1]);
    curl_easy_cleanup(pub.curl);
    buf_free(&pub.answer);
    return code;
}
