#include "publish/submit.h"

#include "publish/key.h"
#include "publish/maker.h"
#include "publish/receipt.h"

/* Events that a turn makes room for before there are any. */
enum { EXPECTED_MAX = 1024 };

/* ---- the turn -------------------------------------------------------------------------------- */

void submitter_init(struct submitter *submitter, struct log *log, struct log_port *port,
                    struct clock *clock)
{
    *submitter = (struct submitter){.log = log, .port = port, .clock = clock};
}

void submitter_limit(struct submitter *submitter, const struct publish_limits *limits,
                     struct rates *rates, const struct memory_mark *memory)
{
    submitter->limits = limits;
    submitter->rates = rates;
    submitter->memory = memory;
    submitter->is_limited = limits || memory;
}

bool submitter_flush(struct submitter *submitter)
{
    struct append *turn = submitter->turn, *ephemeral = submitter->turn_ephemeral;
    submitter->turn = submitter->turn_ephemeral = NULL;
    if (ephemeral)
        log_broadcast(submitter->log, ephemeral);
    if (turn) {
        uint32_t events = turn->batch->count;
        submitter->expected = events < EXPECTED_MAX ? events : EXPECTED_MAX;
        batch_fit(turn->batch);
        log_append(submitter->log, turn);
    }
    return turn || ephemeral;
}

static size_t append_bytes(const struct append *append)
{
    return append ? batch_bytes(append->batch) : 0;
}

size_t submitter_bytes(const struct submitter *submitter)
{
    return append_bytes(submitter->turn) + append_bytes(submitter->turn_ephemeral);
}

/* A counter: only this thread adds. */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Copies a string to `*room` and moves `*room` behind it. */
static struct str put(char **room, struct str s)
{
    struct str copy = {*room, s.len};
    if (s.len)
        memcpy(*room, s.at, s.len);
    *room += s.len;
    return copy;
}

/* Copies the proposal's strings into one run of the batch's memory. */
static bool copy_strings(struct batch *batch, struct event *event, const struct proposal *proposal)
{
    struct str content_type = proposal->content_type;
    if (proposal->kind == EVENT_BINARY && !content_type.len)
        content_type = STR("application/octet-stream");
    char *room = arena_alloc(&batch->arena, proposal->channel.len + proposal->type.len +
                                                content_type.len + proposal->data.len);
    if (!room)
        return false;
    event->channel = put(&room, proposal->channel);
    event->type = put(&room, proposal->type);
    event->content_type = put(&room, content_type);
    char *data = room;
    event->data = put(&room, proposal->data);
    if (proposal->kind == EVENT_JSON)
        json_one_line(data, event->data.len);
    return true;
}

/* Only ephemeral events need a time here: the log sets that of the events it stores. */
static bool add_event(struct submission *submission, const struct proposal *proposal,
                      bool ephemeral)
{
    struct batch *batch = submission->append->batch;
    struct event *event = batch_add(batch);
    if (!event || !copy_strings(batch, event, proposal))
        return false;
    event->kind = (uint8_t)proposal->kind;
    event->state = ephemeral ? EVENT_EPHEMERAL : EVENT_PROPOSED;
    event->except = proposal->except;
    event->hops = submission->publisher->hops;
    event->accepted_ns = proposal->accepted_ns;
    if (ephemeral)
        event->time_us = clock_wall_us(submission->submitter->clock);
    return ephemeral || !proposal->has_key ||
           !event_key_set(batch, event, submission->publisher->keyspace, proposal->key,
                          proposal->key_stands);
}

/* The same, without a half of an event where memory lacks. */
static bool add_whole_event(struct submission *submission, const struct proposal *proposal,
                            bool ephemeral)
{
    struct batch *batch = submission->append->batch;
    uint32_t before = batch->count;
    bool added = add_event(submission, proposal, ephemeral);
    if (!added)
        batch->count = before;
    return added;
}

static bool is_ephemeral(const struct submitter *submitter, const struct proposal *proposal)
{
    return proposal->ephemeral || log_is_ephemeral(submitter->log, proposal->channel);
}

/* The last check: an event that is refused for another reason takes nothing from a rate. */
static bool may_add(struct submitter *submitter, const struct proposal *proposal,
                    const struct publisher *publisher, uint32_t batch, struct refusal *ret_refusal)
{
    const struct rate_event event = {publisher, proposal->channel, proposal->data.len, batch};
    if (!submitter->is_limited)
        return true;
    if (memory_mark_is_full(submitter->memory) && !publisher->is_server) {
        count(&submitter->too_full, 1);
        return refusal_full(ret_refusal);
    }
    if (!submitter->limits || rates_take(submitter->rates, submitter->limits, &event,
                                         clock_now_ns(submitter->clock), ret_refusal))
        return true;
    count(&submitter->too_fast, ret_refusal->problem == PROBLEM_TOO_MANY);
    count(&submitter->too_large, ret_refusal->problem == PROBLEM_TOO_LARGE);
    return false;
}

bool submitter_take(struct submitter *submitter, const struct publisher *publisher,
                    struct str channel, size_t bytes, struct refusal *ret_refusal)
{
    const struct proposal proposal = {.channel = channel, .data = {NULL, bytes}};
    return may_add(submitter, &proposal, publisher, 0, ret_refusal);
}

/* Gives back what an event has taken that is not published. */
static void give_one(const struct submitter *submitter, const struct publisher *publisher,
                     struct str channel, size_t bytes)
{
    const struct rate_event event = {publisher, channel, bytes, 0};
    if (submitter->limits)
        rates_give(submitter->rates, submitter->limits, &event);
}

/* Gives back what the events of a submission have taken that is dropped. */
static void give_back(const struct submission *submission)
{
    const struct batch *batch = submission->append->batch;
    for (uint32_t i = submission->first; i < batch->count; i++)
        give_one(submission->submitter, submission->publisher, batch->events[i].channel,
                 batch->events[i].data.len);
}

/* Refuses an event that has passed all checks, and for which memory lacks. */
static bool refuse_for_memory(const struct submitter *submitter, const struct publisher *publisher,
                              const struct proposal *proposal, struct refusal *ret_refusal)
{
    give_one(submitter, publisher, proposal->channel, proposal->data.len);
    return refusal_no_memory(ret_refusal);
}

/* The first events of a batch have taken what the rate had. When they have given it back, and the
 * bucket is full, the whole batch passes. */
static void wait_for_all(struct submission *submission, const struct proposal *proposal,
                         struct refusal *refusal)
{
    const struct submitter *submitter = submission->submitter;
    const struct rate_event event = {submission->publisher, proposal->channel, proposal->data.len,
                                     submission->number};
    submission_drop(submission);
    if (refusal->retry_ms)
        refusal->retry_ms = rates_full_ms(submitter->rates, submitter->limits, &event,
                                          clock_now_ns(submitter->clock), refusal);
}

/* ---- submissions ----------------------------------------------------------------------------- */

static bool begin(struct submission *submission, struct submitter *submitter,
                  const struct publisher *publisher, bool ephemeral)
{
    struct append **turn = ephemeral ? &submitter->turn_ephemeral : &submitter->turn;
    if (!*turn) {
        *turn = append_new(submitter->log, submitter->port);
        if (*turn && !ephemeral)
            batch_expect((*turn)->batch, submitter->expected);
    }
    *submission = (struct submission){.submitter = submitter,
                                      .publisher = publisher,
                                      .append = *turn,
                                      .first = *turn ? (*turn)->batch->count : 0};
    return *turn;
}

bool submission_begin(struct submission *submission, struct submitter *submitter,
                      const struct publisher *publisher, struct refusal *ret_refusal)
{
    if (!begin(submission, submitter, publisher, false))
        return refusal_no_memory(ret_refusal);
    submission->number = submitter->limits ? rates_number(submitter->rates) : 0;
    return true;
}

bool submission_add(struct submission *submission, const struct proposal *proposal,
                    struct refusal *ret_refusal)
{
    struct submitter *submitter = submission->submitter;
    const struct publisher *publisher = submission->publisher;
    if (!proposal_check(proposal, publisher, ret_refusal))
        return false;
    if (!may_add(submitter, proposal, publisher, submission->number, ret_refusal)) {
        wait_for_all(submission, proposal, ret_refusal);
        return false;
    }
    return add_whole_event(submission, proposal, is_ephemeral(submitter, proposal)) ||
           refuse_for_memory(submitter, publisher, proposal, ret_refusal);
}

void submission_drop(struct submission *submission)
{
    if (!submission->append)
        return;
    give_back(submission);
    submission->append->batch->count = submission->first;
}

void submission_end(struct submission *submission, struct publish *publish)
{
    struct submitter *submitter = submission->submitter;
    publish->first = submission->first;
    publish->count = submission->append->batch->count - submission->first;
    publish->maker = maker_of(submitter->log, submission->publisher);
    append_add(submission->append, publish);
    count(&submitter->published, publish->count);
}

bool submit_proposal(struct submitter *submitter, const struct publisher *publisher,
                     const struct proposal *proposal, struct publish *publish,
                     struct refusal *ret_refusal)
{
    struct submission submission;
    if (!proposal_check(proposal, publisher, ret_refusal))
        return false;
    bool ephemeral = is_ephemeral(submitter, proposal);
    if (ephemeral && proposal->has_if_match)
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                           "ephemeral events have no order: leave out If-Match");
    if (!may_add(submitter, proposal, publisher, 0, ret_refusal))
        return false;
    if (!begin(&submission, submitter, publisher, ephemeral) ||
        !add_whole_event(&submission, proposal, ephemeral))
        return refuse_for_memory(submitter, publisher, proposal, ret_refusal);
    publish->has_if_match = proposal->has_if_match;
    publish->if_match = proposal->if_match;
    publish->hides_newest =
        proposal->has_if_match &&
        access_decide(&publisher->access, ACTION_READ, proposal->channel) != ACCESS_ALLOWED;
    submission_end(&submission, publish);
    return true;
}

/* The server's channels record what was done to it, so nobody may delete them. */
static bool may_trim(struct str channel, const struct publisher *publisher,
                     struct refusal *ret_refusal)
{
    if (name_is_reserved(channel) && !publisher->is_server)
        return refusal_set(ret_refusal, PROBLEM_RESERVED_CHANNEL,
                           "what the server publishes itself is trimmed by retention alone");
    return access_check(&publisher->access, ACTION_ADMIN, channel, ret_refusal);
}

bool submit_trim(struct submitter *submitter, const struct publisher *publisher, struct str channel,
                 struct publish *publish, struct refusal *ret_refusal)
{
    struct submission submission;
    if (!may_trim(channel, publisher, ret_refusal))
        return false;
    bool begun = begin(&submission, submitter, publisher, false);
    struct event *event = begun ? batch_add(submission.append->batch) : NULL;
    struct str name = event ? batch_copy(submission.append->batch, channel) : STR_NONE;
    if (!name.at) {
        submission_drop(&submission);
        return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE,
                           "no memory: nothing was trimmed; try again");
    }
    event->channel = name;
    event->state = EVENT_TRIM;
    submission_end(&submission, publish);
    return true;
}

struct refusal submit_refusal(struct submitter *submitter, const struct publish *publish)
{
    count(&submitter->refused[publish->verdict], 1);
    return receipt_refusal(publish);
}
