#include "log/ask.h"

/* Each question that ends lets GO_ON_EACH waiting ones go on. More than one, since the room of a
 * large page holds several small ones; few, since a question that finds the room full again has
 * worked in vain. At least UNDER_WAY_LEAST are under way while others wait: otherwise slow reads
 * would hold up all behind them. */
enum { GO_ON_EACH = 2, UNDER_WAY_LEAST = 16 };

void asker_init(struct asker *asker, struct log *log, struct mailbox *mailbox, uint64_t most)
{
    *asker = (struct asker){.log = log, .mailbox = mailbox, .most = most};
    list_init(&asker->waiting);
}

void asker_limit(struct asker *asker, uint64_t most)
{
    atomic_store_explicit(&asker->most, most, memory_order_relaxed);
}

static bool is_full(const struct asker *asker)
{
    uint64_t most = atomic_load_explicit(&asker->most, memory_order_relaxed);
    return most && asker_held(asker) >= most;
}

/* ---- on a reader's thread -------------------------------------------------------------------- */

bool question_is_crowded(const struct question *question)
{
    return !question->ops->is_small && is_full(question->asker);
}

void question_found(struct question *question, uint64_t bytes)
{
    atomic_fetch_add_explicit(&question->asker->held, bytes - question->found,
                              memory_order_relaxed);
    question->found = bytes;
}

static bool run(struct log_job *job, struct log *log)
{
    struct question *question = container_of(job, struct question, job);
    question->crowded = question_is_crowded(question);
    return question->crowded || question->ops->slice(question, log);
}

const struct question *question_of(const struct log_job *job)
{
    return job->run == run ? container_of(job, const struct question, job) : NULL;
}

/* ---- on the asking thread -------------------------------------------------------------------- */

static void submit(struct question *question)
{
    question->asker->under_way += !question->ops->is_small;
    log_submit(question->asker->log, &question->job);
}

/* Lets waiting questions go on. One goes on in any case if none is under way, since nothing would
 * let it in later. */
static void let_in(struct asker *asker)
{
    struct list *node;
    for (int n = 0; n < GO_ON_EACH || asker->under_way < UNDER_WAY_LEAST; n++) {
        if ((asker->under_way && is_full(asker)) || !(node = list_take_first(&asker->waiting)))
            return;
        struct question *question = container_of(node, struct question, node);
        question->crowded = false; /* another's slice may answer it along, without asking again */
        submit(question);
    }
}

static void wait_for_room(struct question *question)
{
    struct asker *asker = question->asker;
    asker->under_way--;
    asker->put_off++;
    log_job_park(asker->log, &question->job);
    list_add_last(&asker->waiting, &question->node);
    if (!asker->under_way)
        let_in(asker);
}

/* Only a question that is still wanted and has found nothing waits. */
static bool must_wait(const struct question *question)
{
    return question->crowded && !question->found && !question->dropped && !question->job.cancelled;
}

static void opened(struct mail *mail, void *owner)
{
    struct question *question = container_of(mail, struct question, job.mail);
    (void)owner;
    if (must_wait(question))
        wait_for_room(question);
    else
        question->ops->answered(question);
}

void question_init(struct question *question, struct asker *asker, const struct question_ops *ops)
{
    *question = (struct question){.job = {.run = run,
                                          .reply = asker->mailbox,
                                          .mail = {NULL, opened},
                                          .slices_max = ops->slices_max},
                                  .asker = asker,
                                  .ops = ops};
}

void question_ask(struct question *question)
{
    question->asker->open++;
    submit(question);
}

void question_limit(struct question *question, struct clock *clock, int64_t until_ns)
{
    question->job.clock = clock;
    question->job.until_ns = until_ns;
}

/* A question that waits for room must not be let in any more: its mail is posted, and its owner may
 * free it then. */
void question_drop(struct question *question)
{
    question->dropped = true;
    if (list_linked(&question->node)) {
        list_remove(&question->node);
        question->asker->under_way++;
    }
    log_job_cancel(question->asker->log, &question->job);
}

void question_hurry(struct question *question)
{
    log_job_hurry(question->asker->log, &question->job);
}

void question_end(struct question *question)
{
    struct asker *asker = question->asker;
    asker->open--;
    if (question->ops->is_small)
        return;
    asker->under_way--;
    asker->put_off += question->crowded && question->found;
    question_found(question, 0);
    let_in(asker);
}
