#include "client/cli/client.h"

#include "base/environment.h"
#include "base/command_line.h"
#include "client/lib/attempts.h"
#include "client/lib/line_reader.h"
#include "client/cli/output.h"
#include "client/cli/pub.h"
#include "client/lib/record.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "http/media.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    KEY_MAX = 255 - 21, /* the server's limit without '-' and a number */
    BATCH_LINES = 500,
    BATCH_BYTES = 512 << 10, /* half of the server's default limit; a single line may be longer */
    BATCH_GATHER_MS = 20,
    LINE_MAX_BYTES = 16 << 20,
    READ_SIZE = 64 << 10,
    ANSWER_MAX = 1 << 20,
    QUIET_MS = 30000,
    GRACE_MS = 2000, /* for the current batch, after a signal */
    RETRY_LEAST_MS = 100,
    RETRY_MOST_MS = 5000,
    RETRY_TOTAL_MS = 30000, /* then the command gives up */
    RETRY_UNMET_MS = 10000, /* the same for a server that never answered: its name is probably
                             * misspelt */
    PROGRESS_MS = 1000,
    TOO_LARGE = 413, /* RFC 9110 section 15.5.14 */
};

const char client_pub_help[] =
    "Usage: freshet pub CHANNEL [DATA | -] [options]\n\n"
    "Publishes DATA as one event and prints its id; or, without DATA, each line of standard input\n"
    "as an event, in order. What the server did not confirm is sent again with the same key for\n"
    "up to 30 seconds, so that nothing is published twice. A server that refuses the first\n"
    "connection is not waited for.\n\n"
    "  --type T          the event's type (message)\n"
    "  --json            the data is JSON\n"
    "  --content-type T  the data's media type (text/plain; charset=utf-8)\n"
    "  --key K           idempotency key; with standard input K-1, K-2, ... for its lines\n"
    "  --url URL         the server (FRESHET_URL, else http://127.0.0.1:7070)\n" CREDENTIAL_HELP
        TRUST_HELP;

/* ---- arguments ------------------------------------------------------------------------------- */

static int check(const struct pub_arguments *arguments, struct buf *why)
{
    struct http_media media;
    size_t key_len = arguments->key ? strlen(arguments->key) : 1;
    if (http_media_parse(str_from(arguments->content_type), &media))
        return buf_refuse(why, "--content-type is a media type, such as text/csv");
    if (!key_len || key_len > KEY_MAX)
        return buf_refuse(why, "--key has 1 to 234 bytes");
    if (arguments->credential.file && !arguments->data &&
        strcmp(arguments->credential.file, "-") == 0)
        return buf_refuse(why, "standard input has the events: --token-file names another file");
    return trust_check(&arguments->trust, why);
}

static int read_positionals(const struct command_list *list, struct pub_arguments *ret,
                            struct buf *why)
{
    bool meant = list->behind == list->count; /* `-- -x` means the channel -x */
    if (!list->count || !list->at[0][0] || (list->at[0][0] == '-' && !meant))
        return buf_refuse(why, "say which channel");
    if (list->count > 2)
        return buf_refuse(why, "there is more than a channel and its data: quote data with spaces");
    ret->channel = list->at[0];
    if (list->count > 1 && strcmp(list->at[1], "-") != 0)
        ret->data = list->at[1];
    return 0;
}

static int read_options(int argc, char **argv, struct command_list *positionals,
                        struct pub_arguments *ret, const char **ret_url, struct buf *why)
{
    bool json = false;
    const struct command_option options[] = {
        {.name = "type", .value = &ret->type},
        {.name = "json", .flag = &json},
        {.name = "content-type", .value = &ret->content_type},
        {.name = "key", .value = &ret->key},
        {.name = "url", .value = ret_url},
        CREDENTIAL_OPTIONS(&ret->credential),
        TRUST_OPTIONS(&ret->trust),
    };
    size_t count = sizeof(options) / sizeof(options[0]);
    int result = command_line_read(argc, argv, options, count, positionals, why);
    if (result)
        return result;
    if (json && ret->content_type)
        return buf_refuse(why, "--json and --content-type exclude each other");
    if (!ret->content_type)
        ret->content_type = json ? "application/json" : "text/plain; charset=utf-8";
    return 0;
}

int pub_read_arguments(int argc, char **argv, const char *environment_url,
                       const char *environment_token, struct pub_arguments *ret, struct buf *why)
{
    const char *url = environment_url ? environment_url : SERVER_URL_DEFAULT;
    struct command_list positionals = {.at = mem_alloc((size_t)argc * sizeof(char *))};
    *ret = (struct pub_arguments){0};
    int result = read_options(argc, argv, &positionals, ret, &url, why);
    if (!result)
        result = read_positionals(&positionals, ret, why);
    free(positionals.at);
    if (!result)
        result = server_url_read(url, false, &ret->url, why);
    if (!result)
        result = check(ret, why);
    if (!result)
        result = credential_read(&ret->credential, environment_token, why);
    ret->token = ret->credential.text;
    if (!result)
        ret->kind = outgoing_kind_of(str_from(ret->content_type));
    return result;
}

/* ---- a request, until its fate is known ------------------------------------------------------ */

struct publisher {
    const struct pub_arguments *arguments;
    struct attempts attempts;
    char key[33]; /* random, for this run */
    bool warned;  /* about the trouble of this request */
    /* The numbers of the lines of standard input in this request; 0 for an event from the
     * arguments. */
    uint64_t first_line, last_line;
    bool may_split; /* if the lines are too large together, send them one by one */
};

static void complain(const char *sentence)
{
    fprintf(stderr, "freshet pub: %s\n", sentence);
}

static void add_lines(const struct publisher *publisher, struct buf *out)
{
    if (publisher->last_line > publisher->first_line)
        buf_addf(out, "lines %llu to %llu: ", (unsigned long long)publisher->first_line,
                 (unsigned long long)publisher->last_line);
    else if (publisher->first_line)
        buf_addf(out, "line %llu: ", (unsigned long long)publisher->first_line);
}

/* Without `what_next` the sentence ends with what a person can do. */
static void explain(struct publisher *publisher, bool is_stopped, const char *what_next)
{
    const struct attempts *attempts = &publisher->attempts;
    struct buf why = {0};
    add_lines(publisher, &why);
    if (is_stopped)
        buf_add_lit(&why, "interrupted: it is not known whether the last events were published");
    else if (attempts->result)
        buf_addf(&why, "%.*s: %s", STR_FMT(publisher->arguments->url.text), attempts->answer.error);
    else
        transfer_explain(&attempts->answer, &why);
    fprintf(stderr, "freshet pub: %.*s%s\n", STR_FMT(buf_str(&why)),
            what_next ? what_next : attempts->answer.advice);
    buf_free(&why);
}

static void warn(void *owner)
{
    struct publisher *publisher = owner;
    if (!publisher->warned)
        explain(publisher, false, "; trying again");
    publisher->warned = true;
}

/* Publishes with retries. Returns 0 when published, 1 after explaining the failure, or TOO_LARGE if
 * the request may be split. The request must be safe to repeat. */
static int publish(struct publisher *publisher, const struct transfer_request *request)
{
    publisher->warned = false;
    enum attempts_end end = attempts_run(&publisher->attempts, request);
    if (end == ATTEMPTS_TAKEN)
        return 0;
    if (end == ATTEMPTS_REFUSED && publisher->attempts.answer.status == TOO_LARGE &&
        publisher->may_split)
        return TOO_LARGE;
    explain(publisher, end == ATTEMPTS_STOPPED, end == ATTEMPTS_STOPPED ? "" : NULL);
    return 1;
}

/* ---- a single event -------------------------------------------------------------------------- */

static int print_id(struct publisher *publisher)
{
    struct buf id = {0};
    /* An ephemeral event has no id. */
    int code = 0;
    if (!record_receipt_id(buf_str(&publisher->attempts.answer.body), &id)) {
        buf_add_char(&id, '\n');
        code = buf_failed(&id) ? 1 : output_write("freshet pub", buf_str(&id));
    }
    buf_free(&id);
    return code;
}

static int publish_one(struct publisher *publisher)
{
    const struct pub_arguments *arguments = publisher->arguments;
    struct buf path = {0}, url = {0};
    server_url_add_channel(&path, str_from(arguments->channel));
    if (arguments->type)
        server_url_add_query(&path, "type", str_from(arguments->type));
    server_url_add_query(&path, "key", str_from(arguments->key ? arguments->key : publisher->key));
    server_url_add(&url, &arguments->url);
    buf_add_str(&url, buf_str(&path));
    buf_add_char(&url, '\0');
    struct transfer_request request = {.url = url.at,
                                       .post = true,
                                       .body = str_from(arguments->data),
                                       .content_type = arguments->content_type,
                                       .token = arguments->token,
                                       .quiet_ms = QUIET_MS,
                                       .grace_ms = GRACE_MS,
                                       .watched_fd = -1};
    bool whole = !buf_failed(&path) && !buf_failed(&url);
    int code = whole ? publish(publisher, &request) : 1;
    if (!code)
        code = print_id(publisher);
    buf_free(&path);
    buf_free(&url);
    return code;
}

/* ---- standard input -------------------------------------------------------------------------- */

struct feed {
    struct publisher *publisher;
    struct outgoing outgoing;
    struct line_reader lines;
    struct buf url;
    char *room;        /* READ_SIZE bytes, for read() */
    struct str unread; /* the part of it that is not yet used */
    bool at_end;
    uint64_t line;                  /* number of the current line */
    uint64_t lines_of[BATCH_LINES]; /* numbers of the lines in the batch: blank lines are skipped */
    uint64_t published;             /* number of events */
    int64_t begun_ns;
    int64_t told_ns;
    bool tells; /* whether to report progress */
};

static void tell_progress(struct feed *feed)
{
    int64_t now_ns = clock_now_ns(clock_system());
    if (!feed->tells || now_ns - feed->told_ns < (int64_t)PROGRESS_MS * 1000000)
        return;
    double seconds = (double)(now_ns - feed->begun_ns) / 1e9;
    fprintf(stderr, "\r%llu events, %.0f/s\033[K", (unsigned long long)feed->published,
            (double)feed->published / seconds);
    feed->told_ns = now_ns;
}

/* Publishes the lines of the batch from `first` to `last`. */
static int send_lines(struct feed *feed, struct str body, size_t first, size_t last)
{
    struct transfer_request request = {.url = feed->url.at,
                                       .post = true,
                                       .body = body,
                                       .content_type = "application/x-ndjson",
                                       .token = feed->publisher->arguments->token,
                                       .quiet_ms = QUIET_MS,
                                       .grace_ms = GRACE_MS,
                                       .watched_fd = -1};
    feed->publisher->first_line = feed->lines_of[first];
    feed->publisher->last_line = feed->lines_of[last];
    feed->publisher->may_split = last > first;
    int code = publish(feed->publisher, &request);
    if (!code)
        feed->published += last - first + 1;
    return code;
}

/* Sends line by line. Lines that are too large together may be small enough alone, and none of them
 * was published. */
static int send_each(struct feed *feed)
{
    struct str rest = buf_str(&feed->outgoing.body);
    int code = 0;
    for (size_t i = 0; !code && i < feed->outgoing.count; i++) {
        struct str line = str_cut(&rest, '\n');
        code = send_lines(feed, line, i, i);
    }
    return code;
}

static int send_batch(struct feed *feed)
{
    size_t count = feed->outgoing.count;
    if (!count)
        return 0;
    int code = send_lines(feed, buf_str(&feed->outgoing.body), 0, count - 1);
    if (code == TOO_LARGE)
        code = send_each(feed);
    outgoing_clear(&feed->outgoing);
    tell_progress(feed);
    return code;
}

static bool is_blank(struct str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.at[i] != ' ' && line.at[i] != '\t' && line.at[i] != '\r')
            return false;
    return true;
}

static int add_line(struct feed *feed, struct str line)
{
    feed->line++;
    if (feed->outgoing.settings->kind == OUTGOING_JSON && is_blank(line))
        return 0; /* an empty line is no event */
    int result = outgoing_add(&feed->outgoing, line);
    if (result == -EINVAL)
        fprintf(stderr, "freshet pub: line %llu is not JSON\n", (unsigned long long)feed->line);
    else if (result)
        complain("there is no memory");
    else
        feed->lines_of[feed->outgoing.count - 1] = feed->line;
    return result;
}

/* Moves lines into the batch until it is full. Returns 0 or a negative errno. */
static int take_lines(struct feed *feed)
{
    int result = LINE_READY;
    while (result == LINE_READY && !outgoing_is_full(&feed->outgoing)) {
        struct str line;
        result = line_reader_feed(&feed->lines, &feed->unread, &line);
        if (result == LINE_MORE && feed->at_end)
            result = line_reader_end(&feed->lines, &line);
        if (result == LINE_READY && add_line(feed, line))
            return -EINVAL;
    }
    if (result < 0)
        fprintf(stderr, "freshet pub: line %llu is longer than 16 MiB\n",
                (unsigned long long)feed->line + 1);
    return result < 0 ? result : 0;
}

/* Reads available bytes, waiting up to `timeout_ms`. A signal ends the input; lines that are whole
 * by then are still sent. */
static int read_more(struct feed *feed, int64_t timeout_ms)
{
    switch (interrupt_wait(feed->publisher->attempts.interrupt, STDIN_FILENO, POLLIN, timeout_ms)) {
    case WAKE_TIMEOUT:
        return 0;
    case WAKE_INTERRUPT:
        feed->at_end = true;
        buf_clear(&feed->lines.begun); /* half a line is no event */
        return 0;
    case WAKE_READY:
        break;
    }
    ssize_t n = read(STDIN_FILENO, feed->room, READ_SIZE);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        fprintf(stderr, "freshet pub: standard input: %s\n", strerror(errno));
        return -errno;
    }
    if (n >= 0)
        feed->unread = (struct str){feed->room, (size_t)n};
    feed->at_end = n == 0;
    return 0;
}

/* Gathers a batch: waits without limit for its first line, then for a moment. */
static int gather(struct feed *feed)
{
    int64_t deadline_ns = 0;
    int result = take_lines(feed);
    while (!result && !feed->at_end && !outgoing_is_full(&feed->outgoing)) {
        int64_t left_ms = -1;
        if (feed->outgoing.count) {
            int64_t now_ns = clock_now_ns(clock_system());
            if (!deadline_ns)
                deadline_ns = now_ns + (int64_t)BATCH_GATHER_MS * 1000000;
            if (now_ns >= deadline_ns)
                break;
            left_ms = (deadline_ns - now_ns) / 1000000 + 1;
        }
        result = read_more(feed, left_ms);
        if (!result)
            result = take_lines(feed);
    }
    return result;
}

static bool has_more(const struct feed *feed)
{
    return !feed->at_end || feed->unread.len || feed->lines.begun.len;
}

/* Runs until the end of the input. A line that cannot be published ends the run, but the lines
 * before it are published. */
static int run_feed(struct feed *feed)
{
    int code = 0;
    while (!code && has_more(feed)) {
        bool good = gather(feed) == 0;
        code = send_batch(feed);
        if (!good)
            code = 1;
    }
    if (feed->tells && feed->told_ns != feed->begun_ns)
        fputc('\n', stderr);
    fprintf(stderr, "published %llu event%s\n", (unsigned long long)feed->published,
            feed->published == 1 ? "" : "s");
    return code;
}

static int publish_lines(struct publisher *publisher)
{
    const struct pub_arguments *arguments = publisher->arguments;
    struct outgoing_settings settings = {
        .channel = str_from(arguments->channel),
        .type = str_from(arguments->type ? arguments->type : ""),
        .content_type =
            arguments->kind == OUTGOING_BINARY ? str_from(arguments->content_type) : STR_NONE,
        .key_prefix = str_from(arguments->key ? arguments->key : publisher->key),
        .kind = arguments->kind,
        .count_max = BATCH_LINES,
        .bytes_max = BATCH_BYTES,
    };
    struct feed feed = {.publisher = publisher,
                        .outgoing = {.settings = &settings},
                        .lines = {.line_max = LINE_MAX_BYTES},
                        .room = mem_alloc(READ_SIZE),
                        .begun_ns = clock_now_ns(clock_system()),
                        .tells = isatty(STDERR_FILENO) == 1};
    feed.told_ns = feed.begun_ns;
    server_url_add(&feed.url, &arguments->url);
    buf_add_lit(&feed.url, "/events");
    buf_add_char(&feed.url, '\0');
    publisher->attempts.patient = true; /* giving up at once would lose the piped input */
    int code = buf_failed(&feed.url) ? 1 : run_feed(&feed);
    outgoing_deinit(&feed.outgoing);
    line_reader_deinit(&feed.lines);
    buf_free(&feed.url);
    free(feed.room);
    return code;
}

/* ---- the command ----------------------------------------------------------------------------- */

static void make_key(char ret[33])
{
    uint8_t random[16];
    hash_random(random, sizeof(random));
    hash_write_hex(random, sizeof(random), ret);
    ret[32] = '\0';
}

static int run_with(const struct pub_arguments *arguments)
{
    struct interrupt interrupt;
    if (interrupt_init(&interrupt)) {
        perror("freshet pub");
        return 1;
    }
    struct publisher publisher = {.arguments = arguments};
    publisher.attempts = (struct attempts){
        .transfer = transfer_new(&interrupt, server_url_is_loopback(&arguments->url),
                                 &arguments->trust, ANSWER_MAX),
        .interrupt = &interrupt,
        .least_ms = RETRY_LEAST_MS,
        .most_ms = RETRY_MOST_MS,
        .met_ms = RETRY_TOTAL_MS,
        .unmet_ms = RETRY_UNMET_MS,
        .failed = warn,
        .owner = &publisher,
    };
    make_key(publisher.key);
    int code = 1;
    if (publisher.attempts.transfer)
        code = arguments->data ? publish_one(&publisher) : publish_lines(&publisher);
    transfer_free(publisher.attempts.transfer);
    transfer_answer_deinit(&publisher.attempts.answer);
    interrupt_deinit(&interrupt);
    return code;
}

int client_pub(int argc, char **argv)
{
    struct buf why = {0};
    struct pub_arguments arguments;
    int result = pub_read_arguments(argc, argv, environment("FRESHET_URL"),
                                    environment("FRESHET_TOKEN"), &arguments, &why);
    int code = result ? command_line_end(result, "freshet pub", &why, client_pub_help,
                                         "Try: freshet help pub\n")
                      : run_with(&arguments);
    credential_deinit(&arguments.credential);
    buf_free(&why);
    return code;
}
