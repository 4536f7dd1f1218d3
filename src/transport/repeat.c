#include "transport/repeat.h"

#include "transport/reading.h"

#include "http/target.h"

/* A head that is kept stays in memory and is compared like other bytes. What is not named here
 * might be somebody's key, so a head that has it is not kept. Nor is one with a body, or one that
 * wants more than a page: the names that say so are not here. A Referer may have a secret in its
 * query. */
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

/* A reading that says where by a cursor is only ever set to what this thread knows by now, and that
 * is used before anything else happens. A search ends later, and before=ID is bounded by the newest
 * event of its time. */
static bool may_be_shared(const struct reading *reading)
{
    return reading->start.kind == START_CURSOR && !reading->has_before;
}

void repeats_keep(struct repeats *repeats, const struct exchange *exchange, struct reading *reading)
{
    struct repeat *repeat = &repeats->at[repeats->next % REPEATS];
    const struct http_head *head = exchange->head;
    struct str bytes = exchange->worker->head_bytes;
    struct str origin = http_header(head, STR("origin"));
    if (bytes.len > REPEAT_BYTES || !is_plain(head) || !may_be_shared(reading))
        return;
    repeats->next++;
    reading_free(repeat->reading);
    repeat->reading = NULL;
    buf_clear(&repeat->head);
    buf_add_str(&repeat->head, bytes);
    if (buf_failed(&repeat->head)) {
        buf_free(&repeat->head);
        return;
    }
    if (origin.at)
        origin.at = repeat->head.at + (origin.at - bytes.at);
    repeat->reading = reading_share(reading);
    repeat->origin = origin;
    repeat->is_head = exchange->is_head;
    repeat->keep_alive = head->framing.keep_alive;
    repeat->http10 = exchange->http10;
}

const struct repeat *repeats_find(const struct repeats *repeats, struct str bytes)
{
    for (int i = 0; i < REPEATS; i++) {
        const struct repeat *repeat = &repeats->at[i];
        if (repeat->head.len && str_starts(bytes, buf_str(&repeat->head)))
            return repeat;
    }
    return NULL;
}

void repeats_deinit(struct repeats *repeats)
{
    for (int i = 0; i < REPEATS; i++) {
        reading_free(repeats->at[i].reading);
        buf_free(&repeats->at[i].head);
    }
}
