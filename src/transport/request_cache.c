#include "transport/request_cache.h"

#include "transport/reading.h"

#include "http/target.h"

/* The header names that a kept head may have. A kept head stays in memory and is compared like
 * other bytes, and any other header might be a secret: a Referer, for instance, may have one in its
 * query. Requests with a body, or for more than a page, have other headers too, and so are not
 * kept. */
static const char *const plain_headers[] = {
    "host",      "connection",       "keep-alive",         "user-agent",
    "accept",    "accept-encoding",  "accept-language",    "cache-control",
    "pragma",    "prefer",           "priority",           "origin",
    "te",        "sec-fetch-dest",   "sec-fetch-mode",     "sec-fetch-site",
    "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-gpc",
    "dnt"};
static const char *const plain_parameters[] = {"after", "channel", "type",  "limit",
                                               "wait",  "format",  "stream"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_plain_header(struct str name)
{
    for (size_t i = 0; i < COUNT(plain_headers); i++)
        if (str_eq_nocase(name, str_from(plain_headers[i])))
            return true;
    return false;
}

static bool is_plain_parameter(struct str name_raw)
{
    for (size_t i = 0; i < COUNT(plain_parameters); i++)
        if (http_query_name_is(name_raw, str_from(plain_parameters[i])))
            return true;
    return false;
}

static bool is_plain(const struct http_head *head)
{
    for (size_t i = 0; i < head->fields.count; i++)
        if (!is_plain_header(head->fields.at[i].name))
            return false;
    struct str rest = head->query, name, value;
    while (http_query_next(&rest, &name, &value))
        if (!is_plain_parameter(name))
            return false;
    return true;
}

/* Whether the reading stays right for later requests. A cursor does. A search's result, or the
 * bound of before=ID, depends on the time. */
static bool may_be_shared(const struct reading *reading)
{
    return reading->from.kind == POSITION_CURSOR && !reading->has_before;
}

/* Parses the cache's copy of the head, so that nothing points into the received bytes. False: do
 * not keep it. */
static bool set_head(struct known_request *known, const struct exchange *exchange)
{
    struct http_scan scan = {0};
    const struct worker *worker = exchange->worker;
    buf_clear(&known->bytes);
    buf_add_str(&known->bytes, worker->head_bytes);
    if (!buf_failed(&known->bytes) &&
        !http_head_parse(buf_str(&known->bytes), &worker->config.limits.http, &scan, &known->head))
        return true;
    buf_free(&known->bytes);
    return false;
}

void request_cache_keep(struct request_cache *cache, const struct exchange *exchange,
                        struct reading *reading)
{
    struct known_request *known = &cache->at[cache->next % KNOWN_REQUESTS];
    struct str bytes = exchange->worker->head_bytes;
    if (!bytes.len || bytes.len > KNOWN_HEAD_BYTES || !is_plain(exchange->head) ||
        !may_be_shared(reading))
        return;
    cache->next++;
    reading_free(known->reading);
    known->reading = NULL;
    if (!set_head(known, exchange))
        return;
    known->reading = reading_share(reading);
    known->origin = http_header(&known->head, STR("origin"));
}

const struct known_request *request_cache_find(const struct request_cache *cache, struct str bytes)
{
    for (int i = 0; i < KNOWN_REQUESTS; i++) {
        const struct known_request *known = &cache->at[i];
        if (known->bytes.len && str_starts(bytes, buf_str(&known->bytes)))
            return known;
    }
    return NULL;
}

void request_cache_clear(struct request_cache *cache)
{
    for (int i = 0; i < KNOWN_REQUESTS; i++) {
        reading_free(cache->at[i].reading);
        buf_free(&cache->at[i].bytes);
    }
    *cache = (struct request_cache){.next = 0};
}
