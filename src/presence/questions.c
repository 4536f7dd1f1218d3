#include "presence/questions.h"

static void open_mail(struct mail *mail, void *owner)
{
    (void)owner; /* the end of the turn goes on with the questions */
    atomic_store(&container_of(mail, struct questions, mail)->state, QUESTIONS_IDLE);
}

void questions_init(struct questions *questions, struct mailbox *host)
{
    questions->host = host;
    questions->mail.open = open_mail;
    list_init(&questions->busy);
}

static void add_to(struct questions_lane *lane, struct presence_request *request)
{
    if (!lane->first)
        lane->last = &lane->first;
    request->next = NULL;
    *lane->last = request;
    lane->last = &request->next;
    lane->count++;
}

bool questions_add(struct questions *questions, struct presence_request *request, uint16_t holder,
                   unsigned percent)
{
    struct questions_lane *lane = &questions->lanes[holder];
    if (questions->count >= QUESTIONS_MAX ||
        !share_has_place(lane->count, questions->count, QUESTIONS_MAX, percent))
        return false;
    add_to(lane, request);
    questions->count++;
    if (!list_linked(&lane->node))
        list_add_last(&questions->busy, &lane->node);
    return true;
}

static bool has_room(const struct questions *questions)
{
    return atomic_load(&questions->answered) < QUESTIONS_ANSWERED_MAX;
}

/* The second look finds room that a worker made before it could see that the host waits. */
bool questions_are_due(struct questions *questions)
{
    int idle = QUESTIONS_IDLE;
    if (!questions->count || has_room(questions))
        return questions->count;
    (void)atomic_compare_exchange_strong(&questions->state, &idle, QUESTIONS_WAIT);
    return has_room(questions);
}

/* A lane that has more questions goes behind all others. */
struct presence_request *questions_take(struct questions *questions)
{
    struct list *node = list_take_first(&questions->busy);
    if (!node)
        return NULL;
    struct questions_lane *lane = container_of(node, struct questions_lane, node);
    struct presence_request *request = lane->first;
    lane->first = request->next;
    lane->count--;
    questions->count--;
    if (lane->first)
        list_add_last(&questions->busy, node);
    return request;
}

void questions_count(struct questions *questions, struct presence_request *request)
{
    request->counted = request->answer.len;
    atomic_fetch_add(&questions->answered, request->counted);
}

void questions_end(struct questions *questions, size_t counted)
{
    int waits = QUESTIONS_WAIT;
    if (!counted)
        return;
    atomic_fetch_sub(&questions->answered, counted);
    if (atomic_compare_exchange_strong(&questions->state, &waits, QUESTIONS_TOLD))
        mailbox_post(questions->host, &questions->mail);
}
