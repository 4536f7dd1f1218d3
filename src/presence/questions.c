#include "presence/questions.h"

static void open_mail(struct mail *mail, void *owner)
{
    (void)owner; /* the end of the turn goes on with the questions */
    atomic_store(&container_of(mail, struct questions, mail)->state, QUESTIONS_IDLE);
}

void questions_init(struct questions *questions, struct mailbox *host)
{
    *questions = (struct questions){.host = host, .mail = {.open = open_mail}};
    for (unsigned i = 0; i < QUESTIONS_LANES; i++)
        questions->lanes[i].last = &questions->lanes[i].first;
}

bool questions_add(struct questions *questions, struct presence_request *request, unsigned asker)
{
    struct questions_lane *lane = &questions->lanes[asker % QUESTIONS_LANES];
    if (lane->count >= QUESTIONS_LANE_MAX || questions->count >= QUESTIONS_MAX)
        return false;
    request->next = NULL;
    *lane->last = request;
    lane->last = &request->next;
    lane->count++;
    questions->count++;
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

static struct questions_lane *next_lane(struct questions *questions)
{
    struct questions_lane *lane;
    do
        lane = &questions->lanes[questions->next++ % QUESTIONS_LANES];
    while (!lane->first);
    return lane;
}

struct presence_request *questions_take(struct questions *questions)
{
    if (!questions->count)
        return NULL;
    struct questions_lane *lane = next_lane(questions);
    struct presence_request *request = lane->first;
    lane->first = request->next;
    if (!lane->first)
        lane->last = &lane->first;
    lane->count--;
    questions->count--;
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
