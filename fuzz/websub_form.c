/* Feeds forms of WebSub to their reader. What is accepted names a channel that anybody may name,
 * and what goes into headers and into the line of a request has no byte that would end these: the
 * topic stands in a header of each delivery, and the callback is called with parameters of ours. */
#include "require.h"

#include "http/token.h"
#include "log/selection.h"
#include "webhooks/websub/form.h"

#include <errno.h>
#include <string.h>

static const struct websub_leases leases = {.usual = 864000, .least = 60, .most = 2592000};

static bool is_one_word(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f)
            return false;
    return true;
}

static void check_urls(const struct websub_wish *wish)
{
    struct buf url = {0};
    websub_add_intent(&url, buf_str(&wish->callback), wish->mode, buf_str(&wish->topic), STR("c0"),
                      wish->lease_s);
    require(is_one_word(buf_str(&url)));
    require(str_starts(buf_str(&url), buf_str(&wish->callback)));
    require(memmem(url.at, url.len, "hub.challenge=c0", 16) != NULL);
    buf_clear(&url);
    websub_add_denial(&url, buf_str(&wish->callback), buf_str(&wish->topic), STR("a reason"));
    require(is_one_word(buf_str(&url)));
    buf_free(&url);
}

static void check_topic(struct str topic, struct str base)
{
    struct buf hub = {0};
    require(is_one_word(topic));
    for (size_t i = 0; i < topic.len; i++)
        require(!strchr("<>\"\\", topic.at[i]));
    websub_add_hub(&hub, topic, base);
    require(is_one_word(buf_str(&hub)));
    buf_free(&hub);
}

static void check(struct str form, struct str base)
{
    struct websub_wish wish = {0};
    const char *why = NULL;
    int result = websub_read(form, base, &leases, &wish, &why);
    require(result == 0 || (result == -EINVAL && why && *why));
    if (!result) {
        require(name_valid(buf_str(&wish.channel), NULL) &&
                !name_is_reserved(buf_str(&wish.channel)));
        check_topic(buf_str(&wish.topic), base);
    }
    if (!result && wish.mode != WEBSUB_PUBLISH) {
        require(wish.secret.len <= WEBSUB_SECRET_MAX);
        require(str_starts(buf_str(&wish.callback), STR("http")) || wish.callback.len);
        check_urls(&wish);
    }
    if (!result && wish.mode == WEBSUB_SUBSCRIBE)
        require(wish.lease_s >= leases.least && wish.lease_s <= leases.most);
    websub_wish_deinit(&wish);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = malloc(size + 1); /* exactly sized: a read too far is found */
    require(copy);
    memcpy(copy, data, size);
    check((struct str){copy, size}, STR(""));
    check((struct str){copy, size}, STR("/base"));
    free(copy);
    return 0;
}
