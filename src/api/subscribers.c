/* The streams, WebSockets and polls of a subject are spread over all workers. Each worker gets
 * mail, ends its own in slices (transport/live.h), and the last of them answers the worker that
 * asked. */
#include "api/subscribers.h"

#include "api/answers.h"
#include "api/api.h"
#include "api/query.h"
#include "api/subscriber_list.h"

#include <stdlib.h>

enum { SUBJECT, CHANNEL, ID, ROWS, SUBJECT_MAX = 255 };
enum { DISCONNECTIONS_MAX = 8 }; /* requests under way on one worker */

static const struct parameter rows[ROWS] = {
    [SUBJECT] = {.name = {"subject", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = SUBJECT_MAX,
                 .example = "alice"},
    [CHANNEL] = {.name = {"channel", 7},
                 .kind = PARAMETER_TEXT,
                 .least = 1,
                 .most = NAME_MAX_BYTES,
                 .example = "chat/17"},
    [ID] = {.name = {"id", 2},
            .kind = PARAMETER_TEXT,
            .least = CONN_NAME_SIZE,
            .most = CONN_NAME_SIZE,
            .right = "an id that GET /subscribers tells",
            .example = "0123456789abcdef01234567",
            .meant = "connection"},
};

struct parameter_table subscribers_parameters(void)
{
    return (struct parameter_table){rows, ROWS};
}

/* A request to all workers, with mail for each. */
struct disconnection {
    struct exchange *exchange;
    struct mailbox *reply;
    struct mail reply_mail;
    atomic_uint left;  /* workers that have not looked yet */
    atomic_uint ended; /* the number that they have ended */
    char subject[SUBJECT_MAX], channel[NAME_MAX_BYTES];
    char id[CONN_NAME_SIZE];
    size_t subject_len, channel_len, id_len;
    struct order {
        struct mail mail;
        struct live_disconnection ends;
        struct disconnection *all;
    } orders[];
};

static void note(const struct disconnection *all)
{
    struct buf members = {0};
    struct json_writer writer = json_members_writer(&members);
    json_member_bytes(&writer, "of", (struct str){all->subject, all->subject_len});
    json_member_number(&writer, "disconnected", atomic_load(&all->ended));
    api_note_managed(all->exchange, "disconnected", buf_str(&members));
    buf_free(&members);
}

static void answered(struct mail *mail, void *owner)
{
    (void)owner;
    struct disconnection *all = container_of(mail, struct disconnection, reply_mail);
    struct buf body = {0};
    struct json_writer writer = json_writer(&body);
    json_object_begin(&writer);
    json_member_number(&writer, "disconnected", atomic_load(&all->ended));
    json_object_end(&writer);
    note(all);
    if (all->exchange->dropped)
        exchange_free(all->exchange);
    else if (buf_failed(&body))
        api_problem(all->exchange, PROBLEM_UNAVAILABLE, "it was done, and there is no memory");
    else
        exchange_json(all->exchange, 200, buf_str(&body));
    buf_free(&body);
    free(all);
}

static void carried_out(struct live_disconnection *ends)
{
    struct disconnection *all = container_of(ends, struct order, ends)->all;
    atomic_fetch_add(&all->ended, ends->ended);
    if (atomic_fetch_sub(&all->left, 1) == 1)
        mailbox_post(all->reply, &all->reply_mail);
}

static void carry_out(struct mail *mail, void *owner)
{
    struct order *order = container_of(mail, struct order, mail);
    live_disconnect(owner, &order->ends);
}

static void submit(struct disconnection *all)
{
    const struct api *api = api_of(all->exchange);
    struct worker *workers = api->workers;
    unsigned count = api->workers_count;
    all->reply = &all->exchange->worker->loop.mailbox;
    all->reply_mail.open = answered;
    atomic_init(&all->left, count);
    for (unsigned i = 0; i < count; i++) {
        all->orders[i] = (struct order){.mail = {.open = carry_out},
                                        .ends = {.subject = {all->subject, all->subject_len},
                                                 .channel = {all->channel, all->channel_len},
                                                 .done = carried_out},
                                        .all = all};
        mailbox_post(&workers[i].loop.mailbox, &all->orders[i].mail);
    }
}

static bool take(struct exchange *exchange, void *context, const struct parameter_found *found)
{
    struct disconnection *all = context;
    (void)exchange;
    if (found->row == SUBJECT) {
        memcpy(all->subject, found->value.at, found->value.len);
        all->subject_len = found->value.len;
    } else if (found->row == CHANNEL) {
        memcpy(all->channel, found->value.at, found->value.len);
        all->channel_len = found->value.len;
    } else if (found->row == ID) {
        memcpy(all->id, found->value.at, found->value.len);
        all->id_len = found->value.len;
    }
    return true;
}

/* False if the exchange was answered. */
static bool read_query(struct disconnection *all)
{
    struct exchange *exchange = all->exchange;
    const char *why;
    if (!query_read(exchange, subscribers_parameters(), PROBLEM_BAD_PARAMETER, take, all))
        return false;
    struct str channel = {all->channel, all->channel_len};
    if (!all->subject_len == !all->id_len || (all->id_len && channel.len))
        api_problem(exchange, PROBLEM_BAD_PARAMETER,
                    "say who is to be disconnected: either a subject, as in "
                    "/subscribers?subject=alice, or the id of a single subscription");
    else if (channel.len && !name_valid(channel, &why))
        api_problem(exchange, PROBLEM_BAD_CHANNEL, why);
    else
        return true;
    return false;
}

void subscribers_handle(struct exchange *exchange, struct str rest)
{
    unsigned count = api_of(exchange)->workers_count;
    (void)rest;
    if (!api_is_admin(exchange))
        return;
    if (exchange->head->method != HTTP_DELETE) {
        subscriber_list_handle(exchange);
        return;
    }
    if (live_disconnections(exchange->worker) >= DISCONNECTIONS_MAX) {
        api_problem(exchange, PROBLEM_TOO_MANY,
                    "several subjects are being disconnected: wait for these");
        return;
    }
    struct disconnection *all = mem_try_alloc(sizeof(*all) + count * sizeof(all->orders[0]));
    if (!all) {
        api_problem(exchange, PROBLEM_UNAVAILABLE, "no memory: try again");
        return;
    }
    *all = (struct disconnection){.exchange = exchange};
    bool good = read_query(all);
    if (good && !all->id_len) {
        submit(all);
        return;
    }
    if (good)
        subscriber_list_end(exchange, (struct str){all->id, all->id_len});
    free(all);
}
