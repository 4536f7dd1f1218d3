#include "client/sub.h"

#include "client/client.h"
#include "client/options.h"
#include "base/hash.h"
#include "base/json.h"
#include "http/target.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char client_sub_help[] =
    "freshet sub CHANNEL... [--via sse|ndjson|poll|ws] [--after ID|earliest|now] [--last N]\n"
    "            [--type T]... [--format event|data] [--count N] [--url URL] [--token T]\n\n"
    "Prints events as they come, one a line, and goes on where it was after a lost connection.\n"
    "Patterns are channels too: 'trades/*', '**'.\n\n"
    "  --via M       the mechanism, default ndjson\n"
    "  --after P     begin behind a cursor, at the earliest event, or now (the default)\n"
    "  --last N      begin with the newest N events\n"
    "  --type T      only this type; may be said several times\n"
    "  --format F    event: the envelope (default); data: the data alone\n"
    "  --count N     stop after N events\n"
    "  --url URL     the server, default $FRESHET_URL or http://127.0.0.1:7070\n"
    "  --token T     sent as a bearer token, default $FRESHET_TOKEN\n";

enum { SILENCE_S = 60, WAIT_LEAST_MS = 100, WAIT_MOST_MS = 10000 };

/* ---- printing -------------------------------------------------------------------------------- */

void sub_tell(const char *what, struct str detail)
{
    fprintf(stderr, "freshet sub: %s %.*s\n", what, (int)detail.len, detail.at ? detail.at : "");
}

void sub_note(struct sub_run *run, struct str cursor)
{
    if (cursor.len && cursor.len < sizeof(run->cursor))
        snprintf(run->cursor, sizeof(run->cursor), "%.*s", STR_FMT(cursor));
    run->last = NULL;
}

static struct str printed_part(const struct sub_run *run, struct str line)
{
    struct str data = run->data_only ? json_member(line, STR("data")) : line;
    return data.at ? data : json_member(line, STR("data_base64"));
}

bool sub_print(struct sub_run *run, struct str line)
{
    struct str shown = printed_part(run, line);
    struct buf text = {0};
    if (run->data_only && shown.len && shown.at[0] == '"' && json_unescape(shown, &text) == 0)
        shown = buf_str(&text);
    fwrite(shown.at ? shown.at : "", 1, shown.len, stdout);
    fputc('\n', stdout);
    bool good = fflush(stdout) == 0;
    buf_free(&text);
    sub_note(run, json_plain(line, STR("id")));
    return good && --run->left > 0;
}

/* ---- over HTTP ------------------------------------------------------------------------------- */

struct http_run {
    struct sub_run *run;
    CURL *curl;
    struct lines lines;
    struct sse_record record;
    struct buf body; /* of a poll, or of a refusal */
    bool sse;
    bool poll;
    bool done;
};

static void on_record(struct http_run *http, struct str name, struct str id, struct str data)
{
    http->run->seen++;
    if (name.len && name.at[0] == '$') {
        if (!str_eq(name, STR("$beat")))
            sub_tell(str_eq(name, STR("$gap")) ? "gap:" : "told:", data);
        sub_note(http->run, id);
    } else if (!sub_print(http->run, data)) {
        http->done = true;
    }
}

static void on_sse_line(void *context, struct str line)
{
    struct http_run *http = context;
    if (http->done || !sse_record_line(&http->record, line))
        return;
    on_record(http, buf_str(&http->record.event), buf_str(&http->record.id),
              buf_str(&http->record.data));
    sse_record_clear(&http->record);
}

static void on_json_line(void *context, struct str line)
{
    struct http_run *http = context;
    if (http->done || !line.len)
        return;
    http->run->seen++;
    struct str op = json_plain(line, STR("op"));
    if (!op.at) {
        http->done = !sub_print(http->run, line);
        return;
    }
    sub_note(http->run, json_plain(line, STR("cursor")));
    if (!str_eq(op, STR("beat")))
        sub_tell("told:", line);
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *context)
{
    struct http_run *http = context;
    struct str piece = {bytes, size * count};
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (http->poll || status != 200)
        buf_add_str(&http->body, piece);
    else
        lines_feed(&http->lines, piece, http->sse ? on_sse_line : on_json_line, http);
    return http->done ? 0 : piece.len;
}

static void add_parameter(struct buf *url, const char *name, const char *value)
{
    buf_addf(url, "%c%s=", memchr(url->at, '?', url->len) ? '&' : '?', name);
    http_percent_encode(url, str_from(value));
}

static void build_url(const struct http_run *http, struct buf *url)
{
    const struct sub_run *run = http->run;
    bool one = run->channels_count == 1 && !strchr(run->channels[0], '*');
    buf_add_str(url, run->url);
    buf_add_str(url, str_from(one ? "/channels" : "/events"));
    if (one)
        options_add_path(url, run->channels[0]);
    for (size_t i = 0; !one && i < run->channels_count; i++)
        add_parameter(url, "channel", run->channels[i]);
    for (size_t i = 0; i < run->types_count; i++)
        add_parameter(url, "type", run->types[i]);
    add_parameter(url, "format", "event");
    if (run->last)
        add_parameter(url, "last", run->last);
    else
        add_parameter(url, "after", run->cursor);
    if (http->poll)
        add_parameter(url, "wait", "25");
    else
        add_parameter(url, "stream", http->sse ? "sse" : "ndjson");
    buf_add_char(url, '\0');
}

static void print_page(struct http_run *http)
{
    struct str events = json_member(buf_str(&http->body), STR("events")), key, event;
    for (size_t pos = 0; events.at && !http->done && json_next(events, &pos, &key, &event);)
        http->done = !sub_print(http->run, event);
    if (!http->done)
        sub_note(http->run, json_plain(buf_str(&http->body), STR("cursor")));
    http->run->seen++;
}

/* What to do after an answer: as sub_by_socket(). */
static int judge(struct http_run *http, long status)
{
    if (http->done)
        return -1;
    if (status == 200 && http->poll)
        print_page(http);
    if (http->done)
        return -1;
    if (status == 410) {
        sub_tell("gap:", buf_str(&http->body));
        sub_note(http->run, STR("earliest"));
        return 0;
    }
    if (status < 400 || status == 408 || status == 429 || status >= 500)
        return 0;
    sub_tell("refused:", json_member(buf_str(&http->body), STR("detail")));
    return 1;
}

static int run_http(struct sub_run *run, bool sse, bool poll)
{
    struct http_run http = {.run = run, .curl = curl_easy_init(), .sse = sse, .poll = poll};
    struct buf url = {0};
    struct curl_slist *headers = NULL;
    char bearer[1024];
    long status = 0;
    if (!http.curl)
        return 1;
    build_url(&http, &url);
    if (run->token) {
        snprintf(bearer, sizeof(bearer), "Authorization: Bearer %s", run->token);
        headers = curl_slist_append(headers, bearer);
    }
    curl_easy_setopt(http.curl, CURLOPT_URL, url.at);
    curl_easy_setopt(http.curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http.curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(http.curl, CURLOPT_WRITEDATA, &http);
    /* A stream beats every 25 s: a minute of silence is a dead link. */
    curl_easy_setopt(http.curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(http.curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
    CURLcode result = curl_easy_perform(http.curl);
    curl_easy_getinfo(http.curl, CURLINFO_RESPONSE_CODE, &status);
    int verdict = judge(&http, status);
    if (!verdict && result != CURLE_OK)
        sub_tell("connection lost:", str_from(curl_easy_strerror(result)));
    curl_slist_free_all(headers);
    curl_easy_cleanup(http.curl);
    buf_free(&url);
    buf_free(&http.body);
    buf_free(&http.lines.partial);
    buf_free(&http.record.event);
    buf_free(&http.record.id);
    buf_free(&http.record.data);
    return verdict;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void wait_before_retry(unsigned *wait_ms)
{
    uint32_t random;
    hash_random(&random, sizeof(random));
    usleep((*wait_ms / 2 + random % (*wait_ms / 2 + 1)) * 1000);
    *wait_ms = *wait_ms * 2 > WAIT_MOST_MS ? WAIT_MOST_MS : *wait_ms * 2;
}

static int run_once(struct sub_run *run, const char *via)
{
    if (strcmp(via, "ws") == 0)
        return sub_by_socket(run);
    return run_http(run, strcmp(via, "sse") == 0, strcmp(via, "poll") == 0);
}

static int run_for_ever(struct sub_run *run, const char *via)
{
    unsigned wait_ms = WAIT_LEAST_MS;
    for (;;) {
        run->seen = 0;
        int verdict = run_once(run, via);
        if (verdict)
            return verdict > 0 ? 1 : 0;
        if (run->seen)
            wait_ms = WAIT_LEAST_MS;
        if (!run->seen || strcmp(via, "poll") != 0)
            wait_before_retry(&wait_ms);
    }
}

static void on_signal(int number)
{
    (void)number;
    _exit(0);
}

static bool is_mechanism(const char *via)
{
    static const char *const known[] = {"sse", "ndjson", "poll", "ws"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(via, known[i]) == 0)
            return true;
    return false;
}

int client_sub(int argc, char **argv)
{
    const char *channels[OPTIONS_LIST_MAX], *types[OPTIONS_LIST_MAX];
    const char *via = "ndjson", *after = "now", *format = "event", *count = NULL, *url = NULL;
    struct sub_run run = {.token = getenv("FRESHET_TOKEN"), .types = types, .channels = channels};
    const struct option_spec specs[] = {
        {.name = "--via", .value = &via},
        {.name = "--after", .value = &after},
        {.name = "--last", .value = &run.last},
        {.name = "--format", .value = &format},
        {.name = "--count", .value = &count},
        {.name = "--url", .value = &url},
        {.name = "--token", .value = &run.token},
        {.name = "--type", .list = types, .count = &run.types_count},
        {.name = NULL},
    };
    int words = options_read(argc, argv, specs, channels, OPTIONS_LIST_MAX);
    bool data = strcmp(format, "data") == 0;
    if (words < 1 || !is_mechanism(via) || (!data && strcmp(format, "event") != 0)) {
        if (words >= 0)
            fprintf(stderr, "freshet sub: %s\n\n%s",
                    words ? "--via is sse, ndjson, poll or ws; --format is event or data"
                          : "say which channel",
                    client_sub_help);
        return 2;
    }
    run.channels_count = (size_t)words;
    run.data_only = data;
    run.left = count ? strtoull(count, NULL, 10) : UINT64_MAX;
    run.url = options_url(url);
    snprintf(run.cursor, sizeof(run.cursor), "%s", after);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGPIPE, SIG_IGN);
    return run_for_ever(&run, via);
}
