#include "api/listing.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/query.h"
#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 100, LIMIT_MAX = LOG_LIST_MAX - 1 }; /* an extra one shows whether there are more */

struct listing {
    struct question question;
    struct exchange *exchange;
    struct buf prefix;
    struct buf after;
    struct buf kept; /* the query without `after`, for links */
    struct log_channel *channels;
    struct log_list list;
    bool whole;     /* all channels were looked at, or enough were found */
    bool shows_own; /* the server's own channels, too */
    uint32_t limit;
};

static void listing_free(struct listing *listing)
{
    buf_free(&listing->prefix);
    buf_free(&listing->after);
    buf_free(&listing->kept);
    free(listing->channels);
    free(listing);
}

enum { PREFIX, AFTER, LIMIT_ROW, ROWS };

static const struct parameter rows[ROWS] = {
    [PREFIX] = {.name = {"prefix", 6},
                .kind = PARAMETER_TEXT,
                .example = "trades/",
                .meant = "starts_with"},
    [AFTER] = {.name = {"after", 5},
               .kind = PARAMETER_TEXT,
               .example = "trades/btc",
               .meant = "cursor from since start_after"},
    [LIMIT_ROW] = {.name = {"limit", 5},
                   .kind = PARAMETER_NUMBER,
                   .least = 1,
                   .most = LIMIT_MAX,
                   .example = "100",
                   .meant = "count size per_page page_size"},
};

struct parameter_table listing_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct listing *listing = context;
    (void)exchange;
    if (found->row == PREFIX)
        buf_add_str(&listing->prefix, found->value);
    else if (found->row == AFTER)
        buf_add_str(&listing->after, found->value);
    else if (found->row == LIMIT_ROW)
        listing->limit = (uint32_t)found->number;
    else
        query_keep(&listing->kept, found);
    return true;
}

/* False: the exchange was answered. */
static bool read_query(struct listing *listing, struct exchange *exchange)
{
    listing->limit = LIMIT;
    return query_read(exchange, listing_parameters(), PROBLEM_BAD_PARAMETER, take, listing) &&
           query_has_room(exchange, &listing->prefix) &&
           query_has_room(exchange, &listing->after) && query_has_room(exchange, &listing->kept);
}

static struct str name_of(const struct log_channel *channel)
{
    return (struct str){channel->name, channel->name_len};
}

static void write_channel(struct json_writer *writer, const struct log_channel *channel)
{
    json_object_begin(writer);
    json_member_string(writer, "channel", name_of(channel));
    json_member_id(writer, "last", channel->last);
    json_member_id(writer, "trimmed", channel->trimmed);
    json_member_number(writer, "count", channel->count);
    json_member_number(writer, "bytes", channel->bytes);
    json_object_end(writer);
}

/* Sorts behind all of the server's own channels, which begin with `$` and a letter. */
#define BEHIND_OWN STR("$~")

static bool is_shown(const struct listing *listing, struct str name)
{
    return listing->shows_own || !name_is_reserved(name);
}

static void write_list(struct json_writer *writer, const struct listing *listing, bool more)
{
    json_object_begin(writer);
    json_name(writer, "channels");
    json_array_begin(writer);
    for (size_t i = 0; i < listing->list.count && i < listing->limit; i++)
        if (is_shown(listing, name_of(&listing->channels[i])))
            write_channel(writer, &listing->channels[i]);
    json_array_end(writer);
    json_member_bool(writer, "more", more);
    json_object_end(writer);
}

/* A list that had to end early continues after the last channel that was looked at. A name that is
 * not shown must not be told by the link either. */
static struct str last_name(const struct listing *listing)
{
    const struct log_list *list = &listing->list;
    struct str last = list->count <= listing->limit
                          ? (struct str){list->seen, list->seen_len}
                          : name_of(&listing->channels[listing->limit - 1]);
    return is_shown(listing, last) ? last : BEHIND_OWN;
}

static void add_next(struct response *response, const struct listing *listing)
{
    struct buf *out = response_compose(response, STR("Link"));
    buf_add_lit(out, "<?after=");
    http_percent_encode(out, last_name(listing));
    if (listing->prefix.len) {
        buf_add_lit(out, "&prefix=");
        http_percent_encode(out, buf_str(&listing->prefix));
    }
    buf_addf(out, "&limit=%u", listing->limit);
    buf_add_str(out, buf_str(&listing->kept));
    buf_add_lit(out, ">; rel=\"next\"");
}

static void answer(struct exchange *exchange, const struct listing *listing)
{
    struct response response;
    struct buf body = {0};
    bool more = listing->list.count > listing->limit || !listing->whole;
    struct json_writer writer = json_writer(&body);
    write_list(&writer, listing, more);
    buf_add_char(&body, '\n');
    response_init(&response, 200);
    response.type = STR("application/json");
    response.body[0] = buf_str(&body);
    if (more)
        add_next(&response, listing);
    if (buf_failed(&body))
        response_fail(&response);
    exchange_respond(exchange, &response);
    buf_free(&body);
}

/* Whether there is memory to begin a list. */
static bool begin(struct listing *listing)
{
    size_t size = (listing->limit + 1) * sizeof(*listing->channels);
    listing->channels = mem_try_alloc(size);
    question_found(&listing->question, size);
    if (listing->channels)
        log_list_begin(&listing->list, buf_str(&listing->prefix), buf_str(&listing->after),
                       listing->limit + 1, listing->channels);
    return listing->channels != NULL;
}

/* Does a slice of the list. Channels that never had an event are skipped, however many they are. */
static bool list_slice(struct question *question, struct log *log)
{
    struct listing *listing = container_of(question, struct listing, question);
    if (!listing->channels && !begin(listing))
        return true;
    listing->whole = !log_list_some(log, &listing->list);
    return listing->whole;
}

static void listed(struct question *question)
{
    struct listing *listing = container_of(question, struct listing, question);
    struct exchange *exchange = listing->exchange;
    if (exchange_is_answered(exchange)) {
        if (!listing->channels)
            api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        else if (question->job.cancelled)
            api_problem(exchange, PROBLEM_UNAVAILABLE,
                        "the list could not be finished in time: try again");
        else
            answer(exchange, listing);
    }
    question_end(question);
    listing_free(listing);
}

static const struct question_ops question_ops = {.slice = list_slice, .answered = listed};

/* Whether the caller may read all channels that can be in the list: those below the prefix, if that
 * ends with a slash, else all. That matches none of the server's own, so these are shown to those
 * who have named them by the prefix, and to those who may read all of them. */
static bool may_list(struct listing *listing, struct exchange *exchange)
{
    struct access access = exchange_access(exchange);
    struct str prefix = buf_str(&listing->prefix);
    char term[NAME_MAX_BYTES + 3];
    struct refusal refusal;
    struct str all = ACCESS_WHOLE_SERVER;
    bool below = prefix.len && prefix.len <= NAME_MAX_BYTES && prefix.at[prefix.len - 1] == '/';
    if (below) {
        (void)snprintf(term, sizeof(term), "%.*s**", STR_FMT(prefix));
        all = (struct str){term, prefix.len + 2};
        below = pattern_valid(all, NULL);
    }
    all = below ? all : ACCESS_WHOLE_SERVER;
    listing->shows_own =
        name_is_reserved(all) || access_decide(&access, ACTION_READ, BEHIND_OWN) == ACCESS_ALLOWED;
    if (access_check(&access, ACTION_READ, all, &refusal))
        return true;
    exchange_refusal(exchange, &refusal, STR_NONE);
    return false;
}

void listing_handle(struct exchange *exchange)
{
    struct listing *listing = mem_try_alloc(sizeof(*listing));
    if (!listing) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *listing = (struct listing){.exchange = exchange};
    if (!read_query(listing, exchange) || !may_list(listing, exchange)) {
        listing_free(listing);
        return;
    }
    question_init(&listing->question, &exchange->worker->asker, &question_ops);
    exchange_ask(exchange, &listing->question);
}
