#include "api/inbound.h"

#include "api/answers.h"
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

static void refuse_missing(struct exchange *exchange, const struct source *source)
{
    struct buf detail = {0};
    buf_addf(&detail,
             "the header %.*s is missing, or what belongs to it, or has not the form that this "
             "source takes (docs/inbound.md)",
             STR_FMT(source_proof_header(source)));
    exchange_problem(exchange, PROBLEM_BAD_SIGNATURE, buf_str(&detail), STR_NONE);
    buf_free(&detail);
}

static void refuse_proof(struct exchange *exchange, const struct source *source, int verdict)
{
    if (verdict == VERIFY_E_MISSING)
        refuse_missing(exchange, source);
    else if (verdict == VERIFY_E_WRONG)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the signature does not match the body and the secrets of this source: compare "
                    "them with the sender's (docs/inbound.md)");
    else if (verdict == VERIFY_E_STALE)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the timestamp is further from this server's clock than tolerance_s allows: "
                    "compare the clocks (docs/inbound.md)");
    else
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: nothing was published; try again");
}

static void answer_with(struct exchange *exchange, struct str type, struct str body)
{
    struct response response;
    response_init(&response, 200);
    response.type = type;
    response.body[0] = body;
    /* The body repeats a part of the request, so keep browsers from guessing its type. */
    response_add(&response, STR("X-Content-Type-Options"), STR("nosniff"));
    exchange_respond(exchange, &response);
}

static void answer_text(struct exchange *exchange, struct str text)
{
    answer_with(exchange, STR("text/plain; charset=utf-8"), text);
}

static void answer_challenge(struct exchange *exchange, const struct source *source, int verdict,
                             const struct source_event *event)
{
    if (verdict == CHALLENGE_MEANT && source_tells_json(source))
        answer_with(exchange, STR("application/json"), buf_str(&event->answer));
    else if (verdict == CHALLENGE_MEANT)
        answer_text(exchange, buf_str(&event->answer));
    else if (verdict == CHALLENGE_NONE)
        api_problem(exchange, PROBLEM_BAD_PARAMETER,
                    "this is not the challenge that the configuration of this source describes");
    else if (verdict == CHALLENGE_E_PROOF)
        api_problem(exchange, PROBLEM_BAD_SIGNATURE,
                    "the challenge does not hold this source's challenge.secret "
                    "(docs/inbound.md)");
    else if (verdict == CHALLENGE_E_VALUE)
        api_problem(exchange, PROBLEM_BAD_PARAMETER,
                    "a challenge's token has 1 to 1024 bytes and no control characters; one that "
                    "is hashed only letters, digits and - . _ ~ + / =");
    else
        refuse_proof(exchange, source, verdict);
}

/* For senders that show the answer to people. */
static void done_empty(struct publish *publish, struct batch *batch)
{
    struct exchange *exchange = publish_accepted(publish, false);
    (void)batch;
    if (exchange)
        answer_text(exchange, STR(""));
}

/* Idempotency keys of a source are apart from those of publishers and of other sources. */
static void publish_event(struct exchange *exchange, const struct source *source,
                          const struct source_event *event)
{
    struct publisher publisher = publish_publisher(exchange);
    struct proposal proposal = {.channel = buf_str(&event->channel),
                                .type = buf_str(&event->type),
                                .key = buf_str(&event->key),
                                .has_key = event->key.len > 0,
                                .key_stands = true};
    struct buf keyspace = {0};
    buf_add_lit(&keyspace, "inbound/");
    buf_add_str(&keyspace, source_name(source));
    publisher.keyspace = buf_str(&keyspace);
    publisher.access = ACCESS_OF_SERVER; /* the source's proof was checked as configured */
    if (buf_failed(&keyspace))
        refuse_proof(exchange, source, -1);
    else if (publish_read_hops(exchange, &publisher.hops))
        publish_submit(exchange, &publisher, &proposal,
                       source_answers_empty(source) ? done_empty : publish_done);
    buf_free(&keyspace);
}

static void take_post(struct exchange *exchange, const struct source *source,
                      const struct inbound_request *request)
{
    struct source_event event = {0};
    int verdict = source_verify(source, request);
    if (verdict) {
        refuse_proof(exchange, source, verdict);
        return;
    }
    verdict = source_read(source, request, &event);
    if (verdict == CHALLENGE_NONE)
        publish_event(exchange, source, &event);
    else
        answer_challenge(exchange, source, verdict, &event);
    source_event_deinit(&event);
}

static void take_get(struct exchange *exchange, const struct source *source,
                     const struct inbound_request *request)
{
    struct source_event event = {0};
    if (!source_is_asked(source)) {
        api_refuse_method(exchange, 1U << HTTP_POST);
        return;
    }
    answer_challenge(exchange, source, source_ask(source, request, &event), &event);
    source_event_deinit(&event);
}

/* Ignore unknown parameters: the query is the sender's (some sign by it), and does not change what
 * is published. */
void inbound_handle(struct exchange *exchange, struct str rest)
{
    const struct source *source = find_source(api_of(exchange), rest);
    struct inbound_request request = {
        .fields = &exchange->head->fields,
        .body = exchange_received(exchange),
        .plain = exchange_input(exchange),
        .query = exchange->head->query,
        .now_s = clock_wall_us(api_of(exchange)->clock) / 1000000,
    };
    if (!source) {
        api_problem(exchange, PROBLEM_NOT_FOUND,
                    "a source is named under `inbound` in the configuration");
        return;
    }
    if (exchange->head->method == HTTP_POST)
        take_post(exchange, source, &request);
    else
        take_get(exchange, source, &request);
}
