#include "api/inbound.h"

#include "api/channel.h"
#include "api/publish.h"
#include "http/target.h"

static const struct source *find_source(const struct api *api, struct str rest)
{
    struct str name, more;
    if (!http_path_next(&rest, &name) || http_path_next(&rest, &more))
        return NULL;
    for (size_t i = 0; i < api->sources_count; i++)
        if (str_eq(source_name(api->sources[i]), name))
            return api->sources[i];
    return NULL;
}

static void refuse_proof(struct exchange *exchange, int verdict)
{
    if (verdict == VERIFY_E_MISSING)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the header that proves where this comes from is missing");
    else if (verdict == VERIFY_E_WRONG)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the proof does not fit this body and this source's secrets");
    else if (verdict == VERIFY_E_STALE)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the timestamp is further from this server's clock than tolerance_s allows");
    else
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: nothing was published; try again");
}

static void answer_text(struct exchange *exchange, struct str text)
{
    exchange_head(exchange, 200);
    exchange_body(exchange, STR("text/plain; charset=utf-8"), text);
}

/* For a sender that shows people what it gets. */
static void done_empty(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = container_of(publish, struct exchange, publish);
    if (exchange->dropped || publish->verdict)
        publish_done(publish, batch);
    else
        answer_text(exchange, STR(""));
}

static bool check_names(struct exchange *exchange, struct proposal *proposal)
{
    const char *why;
    if (!name_valid(buf_str(&proposal->channel), &why)) {
        api_problem(exchange, PROBLEM_BAD_CHANNEL, why);
        return false;
    }
    if (channel_is_reserved(buf_str(&proposal->channel))) {
        api_problem(exchange, PROBLEM_RESERVED_CHANNEL, "no channel of ours is made from outside");
        return false;
    }
    if (!type_valid(buf_str(&proposal->type), &why)) {
        api_problem(exchange, PROBLEM_BAD_TYPE, why);
        return false;
    }
    return true;
}

/* The event's texts are lent to the proposal. */
static void propose(struct exchange *exchange, const struct source *source,
                    const struct source_event *event)
{
    struct buf subject = {0};
    buf_add_lit(&subject, "inbound/");
    buf_add_str(&subject, source_name(source));
    struct proposal proposal = {
        .channel = event->channel,
        .type = event->type,
        .key = event->key,
        .subject = buf_str(&subject),
        .has_key = event->key.len > 0,
        .key_stands = true,
        .ephemeral = log_is_ephemeral(api_of(exchange)->log, buf_str(&event->channel)),
    };
    if (buf_failed(&subject))
        refuse_proof(exchange, -1);
    else if (check_names(exchange, &proposal) && publish_read_kind(exchange, &proposal))
        publish_propose(exchange, &proposal,
                        source_answers_empty(source) ? done_empty : publish_done);
    buf_free(&subject);
}

/* The query is passed over: it is the sender's, not ours (some sign by it, some add a digest), and
 * nothing in it changes what is published. */
void inbound_handle(struct exchange *exchange, struct str rest)
{
    const struct source *source = find_source(api_of(exchange), rest);
    struct inbound_request request = {
        .fields = &exchange->head->fields,
        .body = exchange_received(exchange),
        .plain = exchange_input(exchange),
        .now_s = clock_wall_us(api_of(exchange)->clock) / 1000000,
    };
    if (!source) {
        api_problem(exchange, PROBLEM_NOT_FOUND,
                    "a source is named under `inbound` in the configuration");
        return;
    }
    int verdict = source_verify(source, &request);
    struct source_event event = {0};
    if (verdict)
        refuse_proof(exchange, verdict);
    else if (source_read(source, &request, &event))
        refuse_proof(exchange, -1);
    else if (event.challenge.len)
        answer_text(exchange, buf_str(&event.challenge));
    else
        propose(exchange, source, &event);
    source_event_deinit(&event);
}
