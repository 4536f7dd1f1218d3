#include "transport/repeat.h"

#include "transport/reading.h"

#include "http/target.h"

/* What generic clients and browsers send with every request, none of it a secret. A head that is
 * kept stays in memory and is compared like other bytes, so a name that is not here is not kept:
 * it might be somebody's key. */
static const char *const plain_names[] = {
    "host",      "connection",       "keep-alive",         "user-agent",
    "accept",    "accept-encoding",  "accept-language",    "cache-control",
    "pragma",    "prefer",           "priority",           "origin",
    "te",        "sec-fetch-dest",   "sec-fetch-mode",     "sec-fetch-site",
    "sec-ch-ua", "sec-ch-ua-mobile", "sec-ch-ua-platform", "sec-gpc",
    "dnt"};

static bool is_plain(struct str name)
{
    for (size_t i = 0; i < sizeof(plain_names) / sizeof(plain_names[0]); i++)
        if (str_eq_nocase(name, str_from(plain_names[i])))
            return true;
    return false;
}

static bool may_have_secret(const struct http_head *head)
{
    for (size_t i = 0; i < head->fields.count; i++)
        if (!is_plain(head->fields.at[i].name))
            return true;
    struct str rest = head->query, name, value;
    while (http_query_next(&rest, &name, &value))
        if (http_query_name_is(name, STR("token")))
            return true;
    return false;
}

/* A reading that says where by a cursor is only ever set to what this thread knows by now, and that
 * is used before anything else happens. A search ends later, and before=ID is bounded by the newest
 * event of its time. */
static bool may_be_shared(const struct exchange *exchange, const struct reading *reading)
{
    const struct http_head *head = exchange->head;
    return reading->start.kind == START_CURSOR && !reading->has_before && !head->framing.chunked &&
           !head->framing.content_length && !may_have_secret(head);
}

void repeats_keep(struct repeats *repeats, const struct exchange *exchange, struct reading *reading)
{
    struct repeat *repeat = &repeats->at[repeats->next % REPEATS];
    const struct http_head *head = exchange->head;
    struct str bytes = exchange->head_bytes;
    struct str origin = http_header(head, STR("origin"));
    if (bytes.len > REPEAT_BYTES || !may_be_shared(exchange, reading))
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
