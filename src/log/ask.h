/* Questions to the log: reads and searches that a reader's thread does for a thread that goes on
 * with other work meanwhile. There is an asker for each thread that asks.
 *
 *     question_ask() ─▶ queues of the readers ─▶ slice(), slice() … ─▶ mail ─▶ answered()
 *                         ▲                                             │          │
 *                         └──── waits: the room is full, and it has ◀───┘          ▼
 *                               found nothing                                question_end()
 *
 * A question is a few bytes, and may find a page's worth. Readers find faster than a worker can
 * encode, so a thousand questions of a worker would hold a thousand pages. So the asker has room
 * for what was found and is not taken yet. Once the room is full,
 *
 * - a question that has found something ends with that, as if its page were full;
 * - a question that has found nothing waits in order of arrival. It goes on when an earlier one has
 *   ended.
 *
 * Questions that find nothing hold nothing and do not wait for each other, however long they take.
 *
 * The asking thread owns asker and questions. A reader's thread calls `slice`, and from within it
 * question_found() and question_is_crowded(). */
#pragma once

#include "log/readers.h"

#include <stdatomic.h>

struct asker {
    struct log *log;
    struct mailbox *mailbox; /* of the asking thread */
    uint32_t open;           /* questions that were asked and have not ended */
    /* The room: */
    _Atomic uint64_t held; /* bytes that were found and not taken */
    _Atomic uint64_t most; /* 0: no bound */
    struct list waiting;
    uint32_t under_way; /* questions, but for small ones, that were asked and neither wait nor have
                           ended */
    uint64_t put_off;   /* number of questions that had to wait, or ended early */
};

struct question;

struct question_ops {
    /* Does a slice of the work, on a reader's thread: see struct log_job. Returns true when the
     * answer is complete. */
    bool (*slice)(struct question *question, struct log *log);
    /* Called once, on the asking thread: takes the answer, unless the question was dropped.
     * question_end() follows, then or later. */
    void (*answered)(struct question *question);
    uint32_t slices_max; /* the allowance; 0 if the question limits itself */
    bool is_small;       /* the answer takes no room: the question waits for none */
};

/* Embedded in a structure with what is asked and what was found. */
struct question {
    struct log_job job; /* `spent` and `cancelled` tell `answered` why the answer is incomplete */
    struct list node;   /* in asker->waiting */
    struct asker *asker;
    const struct question_ops *ops;
    uint64_t found; /* bytes in the room that are this question's */
    bool crowded;   /* ended because the room was full */
    bool dropped;   /* nobody wants the answer */
};

/* An asker with room for `most` bytes, 0: without a bound. The mailbox is that of its thread. */
void asker_init(struct asker *asker, struct log *log, struct mailbox *mailbox, uint64_t most);

/* Changes the room. What is held beyond it stays until it is taken. */
void asker_limit(struct asker *asker, uint64_t most);

/* Whether all questions have ended. Until then the asker must stay. */
static inline bool asker_is_idle(const struct asker *asker)
{
    return !asker->open;
}

static inline uint64_t asker_held(const struct asker *asker)
{
    return atomic_load_explicit(&asker->held, memory_order_relaxed);
}

static inline uint64_t asker_put_off(const struct asker *asker)
{
    return asker->put_off;
}

/* Prepares a question whose answer the asker's thread gets. Nothing is allocated. */
void question_init(struct question *question, struct asker *asker, const struct question_ops *ops);

/* Has the log asked. The question stays where it is until it is answered. */
void question_ask(struct question *question);

/* Bounds the question in time: no slice begins at `until_ns` or later. Before it is asked. */
void question_limit(struct question *question, struct clock *clock, int64_t until_ns);

/* The answer is no longer wanted: `answered` is called soon, for the owner to free the question. */
void question_drop(struct question *question);

/* Lowers the allowance: the client may be gone. */
void question_hurry(struct question *question);

/* The answer was taken: questions that wait for room go on. The owner may free the question. */
void question_end(struct question *question);

/* Notes what the question has found so far, in bytes, all slices together. */
void question_found(struct question *question, uint64_t bytes);

/* Whether there is no room for more. */
bool question_is_crowded(const struct question *question);

/* The question that the job belongs to; NULL if it is another kind of job. */
const struct question *question_of(const struct log_job *job);
