#include "webhooks/websub/form.h"

#include "base/hash.h"
#include "webhooks/endpoint/spec.h"
#include "http/target.h"
#include "http/token.h"
#include "log/selection.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the form -------------------------------------------------------------------------------- */

/* The decoded value of a member. 0, -EINVAL if it is malformed or occurs twice, -ENOMEM. */
static int take(struct str form, struct str name, struct buf *out)
{
    struct str raw_name, raw_value;
    bool found = false;
    int result = 0;
    while (!result && http_query_next(&form, &raw_name, &raw_value)) {
        if (!http_query_name_is(raw_name, name))
            continue;
        result = found ? -EINVAL : http_query_decode(raw_value, out);
        found = true;
    }
    return result > 0 ? -EINVAL : result;
}

static int read_mode(struct str form, enum websub_mode *ret)
{
    static const struct str names[] = {{"subscribe", 9}, {"unsubscribe", 11}, {"publish", 7}};
    struct buf mode = {0};
    int result = take(form, STR("hub.mode"), &mode);
    unsigned i = 0;
    while (i < 3 && !str_eq(buf_str(&mode), names[i]))
        i++;
    buf_free(&mode);
    *ret = (enum websub_mode)i;
    return result ? result : i < 3 ? 0 : -EINVAL;
}

static uint64_t clamp(const struct websub_leases *leases, uint64_t lease_s)
{
    if (!lease_s)
        lease_s = leases->usual; /* leases are not for ever */
    if (lease_s > leases->most)
        return leases->most;
    return lease_s < leases->least ? leases->least : lease_s;
}

/* A number that overflows counts as the longest lease. */
static int read_lease(struct str form, const struct websub_leases *leases, uint64_t *ret_s)
{
    struct buf text = {0};
    uint64_t asked_s = 0;
    int result = take(form, STR("hub.lease_seconds"), &text);
    int number = !result && text.len ? http_number(buf_str(&text), &asked_s) : 0;
    if (number == -ERANGE)
        asked_s = UINT64_MAX;
    else if (number)
        result = -EINVAL;
    buf_free(&text);
    *ret_s = clamp(leases, asked_s);
    return result;
}

static bool callback_is_fine(struct buf *callback)
{
    if (!callback->len || callback->len > SPEC_URL_MAX || memchr(callback->at, '#', callback->len))
        return false;
    buf_add_char(callback, '\0');
    if (buf_failed(callback))
        return true; /* the caller sees that it failed */
    char *host = spec_url_host(callback->at);
    callback->len--;
    free(host);
    return host != NULL;
}

/* Whether a topic may stand in a header, since each distribution repeats it in one. */
static bool topic_is_fine(struct str topic)
{
    for (size_t i = 0; i < topic.len; i++)
        if (strchr("<>\"\\", topic.at[i]))
            return false;
    return topic.len <= SPEC_URL_MAX && http_all(topic, HTTP_CHAR_TARGET);
}

static int read_topic(struct str form, struct str base, struct websub_wish *wish)
{
    int result = take(form, STR("hub.topic"), &wish->topic);
    if (!result && !wish->topic.len && wish->mode == WEBSUB_PUBLISH)
        result = take(form, STR("hub.url"), &wish->topic);
    if (!result && !topic_is_fine(buf_str(&wish->topic)))
        result = -EINVAL;
    return result ? result : websub_topic_channel(buf_str(&wish->topic), base, &wish->channel);
}

static int refuse(int result, const char *sentence, const char **ret_why)
{
    *ret_why = sentence;
    return result;
}

static int read_subscriber(struct str form, const struct websub_leases *leases,
                           struct websub_wish *wish, const char **ret_why)
{
    int result = take(form, STR("hub.callback"), &wish->callback);
    if (result || !callback_is_fine(&wish->callback))
        return refuse(result ? result : -EINVAL,
                      "hub.callback is an http or https URL without a fragment", ret_why);
    result = take(form, STR("hub.secret"), &wish->secret);
    if (result || wish->secret.len > WEBSUB_SECRET_MAX)
        return refuse(result ? result : -EINVAL, "hub.secret has less than 200 bytes", ret_why);
    if (wish->mode == WEBSUB_UNSUBSCRIBE)
        return 0; /* ignore the lease */
    result = read_lease(form, leases, &wish->lease_s);
    return refuse(result, "hub.lease_seconds is a number", ret_why);
}

int websub_read(struct str form, struct str base, const struct websub_leases *leases,
                struct websub_wish *wish, const char **ret_why)
{
    int result = read_mode(form, &wish->mode);
    if (result)
        return refuse(result, "hub.mode is subscribe, unsubscribe or publish", ret_why);
    result = read_topic(form, base, wish);
    if (result)
        return refuse(result,
                      "hub.topic is the URL of a channel of this server: …/topics/NAME or "
                      "…/channels/NAME, without a query",
                      ret_why);
    if (wish->mode != WEBSUB_PUBLISH)
        result = read_subscriber(form, leases, wish, ret_why);
    bool failed =
        buf_failed(&wish->callback) || buf_failed(&wish->topic) || buf_failed(&wish->secret);
    return result ? result : failed ? -ENOMEM : 0;
}

void websub_wish_deinit(struct websub_wish *wish)
{
    buf_free(&wish->callback);
    buf_free(&wish->topic);
    buf_free(&wish->channel);
    buf_free(&wish->secret);
}

/* ---- URLs ---------------------------------------------------------------------------------- */

static void add_parameter(struct buf *out, const char *name, struct str value)
{
    bool query = out->len && memchr(out->at, '?', out->len);
    char last = out->len ? out->at[out->len - 1] : '\0';
    if (!query)
        buf_add_char(out, '?');
    else if (last != '?' && last != '&')
        buf_add_char(out, '&');
    buf_add_str(out, str_from(name));
    buf_add_char(out, '=');
    http_percent_encode(out, value);
}

void websub_add_intent(struct buf *out, struct str callback, enum websub_mode mode,
                       struct str topic, struct str challenge, uint64_t lease_s)
{
    struct buf url = {0}, number = {0};
    buf_add_str(&url, callback);
    add_parameter(&url, "hub.mode",
                  mode == WEBSUB_SUBSCRIBE ? STR("subscribe") : STR("unsubscribe"));
    add_parameter(&url, "hub.topic", topic);
    add_parameter(&url, "hub.challenge", challenge);
    buf_add_u64(&number, lease_s);
    if (lease_s)
        add_parameter(&url, "hub.lease_seconds", buf_str(&number));
    if (buf_failed(&url) || buf_failed(&number))
        out->failed = true;
    buf_add_str(out, buf_str(&url));
    buf_free(&url);
    buf_free(&number);
}

void websub_add_denial(struct buf *out, struct str callback, struct str topic, struct str reason)
{
    struct buf url = {0};
    buf_add_str(&url, callback);
    add_parameter(&url, "hub.mode", STR("denied"));
    add_parameter(&url, "hub.topic", topic);
    add_parameter(&url, "hub.reason", reason);
    if (buf_failed(&url))
        out->failed = true;
    buf_add_str(out, buf_str(&url));
    buf_free(&url);
}
