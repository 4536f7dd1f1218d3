#include "server/greeting.h"

#include "base/json_writer.h"

static bool is_file(struct str url)
{
    return str_starts(url, STR("unix:"));
}

bool greeting_add_address(struct buf *out, const struct listening *listening, struct str base,
                          unsigned nth)
{
    size_t from = out->len;
    if (!listening_add_url(listening, nth, out))
        return false;
    if (!is_file(str_skip(buf_str(out), from)))
        buf_add_str(out, base);
    return true;
}

/* Browsers do not call the address that stands for all of a machine's. */
static void add_callable(struct buf *out, struct str url)
{
    static const struct str all[] = {{"http://0.0.0.0:", 15},
                                     {"http://[::]:", 12},
                                     {"https://0.0.0.0:", 16},
                                     {"https://[::]:", 13}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!str_starts(url, all[i]))
            continue;
        buf_add_str(out, str_starts(url, STR("https")) ? STR("https") : STR("http"));
        buf_add_lit(out, "://localhost:");
        buf_add_str(out, str_skip(url, all[i].len));
        return;
    }
    buf_add_str(out, url);
}

/* Adds the body that registers a webhook which calls the server itself. */
static void add_registration(struct buf *out, struct str url)
{
    struct json_writer writer = json_writer(out);
    struct buf inbox = {0};
    buf_add_str(&inbox, url);
    buf_add_lit(&inbox, "/channels/inbox");
    json_object_begin(&writer);
    json_member_string(&writer, "url", buf_str(&inbox));
    json_name(&writer, "channels");
    json_array_begin(&writer);
    json_add_string(&writer, STR("news"));
    json_array_end(&writer);
    json_object_end(&writer);
    buf_free(&inbox);
}

static void add_webhook(struct buf *out, struct str at)
{
    buf_addf(out, "  curl %.*s/webhooks --json '", STR_FMT(at));
    add_registration(out, at);
    buf_add_lit(out, "'\n");
}

static void add_tour(struct buf *out, struct str at, const struct greeting *greeting)
{
    buf_addf(out,
             "Try, each in a terminal of its own:\n\n"
             "  curl -N '%.*s/channels/news?stream=sse'\n"
             "  curl -N '%.*s/channels/news?stream=ndjson'\n"
             "  curl '%.*s/channels/news?after=now&wait=25'\n",
             STR_FMT(at), STR_FMT(at), STR_FMT(at));
    if (greeting->is_local)
        add_webhook(out, at);
    buf_addf(out,
             "  %s sub news --via ws --url %.*s\n\n"
             "then publish, and see it arrive in all of them:\n\n"
             "  curl %.*s/channels/news -d 'hello'\n\n",
             greeting->program, STR_FMT(at), STR_FMT(at));
    if (greeting->is_local)
        buf_add_lit(out, "(The webhook calls freshet itself: read /channels/inbox for what it was "
                         "sent.)\n\n");
    buf_addf(out,
             "In a browser: %.*s/ leads to the playground, demos, the console and the API.\n\n",
             STR_FMT(at));
}

static void add_guarded_tour(struct buf *out, struct str at, bool anybody_reads)
{
    buf_addf(out,
             "Access rules are in force. With a key or a token in KEY, try\n\n"
             "  curl -N %s'%.*s/channels/news?stream=sse'\n"
             "  curl -H \"Authorization: Bearer $KEY\" %.*s/channels/news -d 'hello'\n\n"
             "In a browser: %.*s/console asks for it.\n\n",
             anybody_reads ? "" : "-H \"Authorization: Bearer $KEY\" ", STR_FMT(at), STR_FMT(at),
             STR_FMT(at));
}

/* Clients other than curl cannot name a Unix socket in a URL. */
static void add_unix_tour(struct buf *out, struct str path, struct str base)
{
    buf_addf(out,
             "Try:\n\n  curl --unix-socket %.*s http://localhost%.*s/channels/news -d 'hello'\n\n",
             STR_FMT(path), STR_FMT(base));
}

/* Adds the first address that clients call themselves: at others they need a proxy in between, or
 * are sent elsewhere. False if there is none. */
static bool add_first(struct buf *out, const struct greeting *greeting)
{
    const struct listening *listening = greeting->listening;
    for (unsigned i = 0; i < listening->count; i++)
        if (!(listening->addresses[i].door & (DOOR_PROXY | DOOR_REDIRECT)))
            return greeting_add_address(out, listening, greeting->base,
                                        listening->addresses[i].nth);
    return false;
}

/* Adds what to try at that address. */
static void add_trials_at(struct buf *out, struct str first, const struct greeting *greeting)
{
    struct buf tour = {0};
    add_callable(&tour, first);
    if (is_file(first))
        add_unix_tour(out, str_skip(first, 5), greeting->base);
    else if (greeting->has_rules)
        add_guarded_tour(out, buf_str(&tour), greeting->anybody_reads);
    else
        add_tour(out, buf_str(&tour), greeting);
    buf_free(&tour);
}

static void add_trials(struct buf *out, const struct greeting *greeting)
{
    struct buf first = {0};
    buf_add_char(out, '\n');
    if (add_first(&first, greeting))
        add_trials_at(out, buf_str(&first), greeting);
    else
        buf_add_lit(out, "Clients come by a proxy: docs/proxies.md says what to tell it.\n\n");
    buf_free(&first);
}

void greeting_add(struct buf *out, const struct greeting *greeting)
{
    struct buf first = {0};
    greeting_add_address(&first, greeting->listening, greeting->base, 0);
    buf_addf(out, "freshet " FRESHET_VERSION " serves %.*s\n", STR_FMT(buf_str(&first)));
    for (unsigned i = 1; i < greeting->listening->count; i++) {
        struct buf more = {0};
        if (greeting_add_address(&more, greeting->listening, greeting->base, i))
            buf_addf(out, "and %.*s\n", STR_FMT(buf_str(&more)));
        buf_free(&more);
    }
    if (!greeting->is_record)
        add_trials(out, greeting);
    buf_free(&first);
}
