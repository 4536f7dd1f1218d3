/* Seats for requests.
 *
 * A request to a receiver that hangs lasts until its time-out. With one pool, first come first
 * served, a few hundred such receivers hold all of it, and webhooks that answer within milliseconds
 * wait for seconds. Three rules prevent that:
 *
 *   1. Every class of endpoints but the quick ones has a share that it cannot exceed. The rest is a
 *      reserve for the quick.
 *   2. Within a class, those without a seat come first, in the order in which they asked. An
 *      endpoint that has seats may have no more than are left free (a dynamic threshold, as
 * switches have it for their buffers), and never takes of the last quarter.
 *   3. An endpoint's class is known from its answers alone, and many that hang may be new, or may
 *      have been quick until now. So each seat has a time after which it is overdue. While somebody
 *      waits, overdue requests are broken off, and their endpoints asked again later, with more
 *      patience and in a slower class.
 *
 * The courier's thread calls all of this. Every walk is bounded by `total`, or by TRIES. */
#include "webhooks/endpoint/pool.h"

enum {
    TRIES = 8,
    FREE_SHARE = 4, /* a quarter of each share is for endpoints that have no seat */
};

const char *const pool_class_names[POOL_CLASSES] = {"quick", "slow", "new", "failing", "asked"};

const unsigned pool_shares[POOL_CLASSES] = {40, 20, 20, 10, 10};

void pool_init(struct pool *pool, unsigned total, const unsigned percent[POOL_CLASSES])
{
    *pool = (struct pool){.total = total > POOL_TOTAL_MIN ? total : POOL_TOTAL_MIN};
    for (unsigned i = 0; i < POOL_CLASSES; i++) {
        unsigned share = (unsigned)((uint64_t)pool->total * percent[i] / 100);
        pool->quota[i] = i == POOL_QUICK ? pool->total : share ? share : 1;
        list_init(&pool->seats[i]);
        list_init(&pool->first[i]);
        list_init(&pool->more[i]);
    }
}

/* ---- room ------------------------------------------------------------------------------------ */

static unsigned less(unsigned a, unsigned b)
{
    return a > b ? a - b : 0;
}

static unsigned shared_room(const struct pool *pool)
{
    return less(pool->total, pool->used + pool->kept);
}

static unsigned own_room(const struct pool *pool, enum pool_class class)
{
    return less(pool->quota[class], pool->used_by[class] + pool->kept_by[class]);
}

static unsigned room(const struct pool *pool, enum pool_class class)
{
    unsigned shared = shared_room(pool), own = own_room(pool, class);
    return shared < own ? shared : own;
}

bool pool_has_room(const struct pool *pool, enum pool_class class)
{
    return room(pool, class) > 0;
}

static bool fits(const struct pool *pool, const struct pool_waiter *waiter, enum pool_class class)
{
    unsigned left = room(pool, class);
    if (!waiter->held)
        return left > 0;
    return left > waiter->held && left > pool->quota[class] / FREE_SHARE;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void dequeue(struct pool *pool, struct pool_waiter *waiter)
{
    if (!list_linked(&waiter->node))
        return;
    list_remove(&waiter->node);
    if (!waiter->held)
        pool->waiting[waiter->class]--;
}

void pool_decline(struct pool *pool, struct pool_waiter *waiter)
{
    if (!waiter->called)
        return;
    waiter->called = false;
    pool->kept--;
    pool->kept_by[waiter->class]--;
}

static void enqueue(struct pool *pool, struct pool_waiter *waiter, enum pool_class class)
{
    if (list_linked(&waiter->node) && waiter->class == class)
        return;
    dequeue(pool, waiter);
    waiter->class = class;
    list_add_last(waiter->held ? &pool->more[class] : &pool->first[class], &waiter->node);
    if (waiter->held)
        return;
    pool->waiting[class]++;
    pool->waits++;
}

bool pool_ask(struct pool *pool, struct pool_waiter *waiter, enum pool_class class)
{
    if (waiter->called && waiter->class == class)
        return true;
    pool_decline(pool, waiter);
    if (list_empty(&pool->first[class]) && fits(pool, waiter, class))
        return true;
    enqueue(pool, waiter, class);
    return false;
}

void pool_forget(struct pool *pool, struct pool_waiter *waiter)
{
    dequeue(pool, waiter);
    pool_decline(pool, waiter);
}

/* ---- sitting --------------------------------------------------------------------------------- */

void pool_sit(struct pool *pool, struct pool_seat *seat, struct pool_waiter *holder,
              enum pool_class class, int64_t overdue_ns)
{
    seat->holder = holder;
    seat->class = class;
    seat->overdue_ns = overdue_ns;
    list_add_last(&pool->seats[class], &seat->node);
    pool->used++;
    pool->used_by[class]++;
    if (!holder)
        return;
    pool_forget(pool, holder);
    holder->held++;
}

void pool_rise(struct pool *pool, struct pool_seat *seat)
{
    struct pool_waiter *holder = seat->holder;
    if (!list_linked(&seat->node))
        return;
    list_remove(&seat->node);
    pool->used--;
    pool->used_by[seat->class]--;
    seat->holder = NULL;
    if (!holder)
        return;
    /* An endpoint that waits for a further seat may have lost the others since: then it asks again,
     * at the end. */
    dequeue(pool, holder);
    holder->held--;
}

/* ---- calling --------------------------------------------------------------------------------- */

static void call(struct pool *pool, struct pool_waiter *waiter)
{
    dequeue(pool, waiter);
    waiter->called = true;
    pool->kept++;
    pool->kept_by[waiter->class]++;
    waiter->call(waiter);
}

static bool call_first(struct pool *pool, enum pool_class class)
{
    if (list_empty(&pool->first[class]) || !room(pool, class))
        return false;
    call(pool, container_of(pool->first[class].next, struct pool_waiter, node));
    return true;
}

/* Endpoints with many seats may have to wait longer than those behind them in the queue. */
static bool call_more(struct pool *pool, enum pool_class class)
{
    struct list *more = &pool->more[class];
    for (unsigned i = 0; i < TRIES && !list_empty(more); i++) {
        struct pool_waiter *waiter = container_of(more->next, struct pool_waiter, node);
        if (fits(pool, waiter, class)) {
            call(pool, waiter);
            return true;
        }
        list_remove(&waiter->node);
        list_add_last(more, &waiter->node);
    }
    return false;
}

void pool_call(struct pool *pool)
{
    /* Give each class a seat in turn, so that the common seats are divided. */
    for (unsigned idle = 0; idle < POOL_CLASSES;) {
        enum pool_class class = (enum pool_class)(pool->turn++ % POOL_CLASSES);
        idle = call_first(pool, class) ? 0 : idle + 1;
    }
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        while (call_more(pool, (enum pool_class)i))
            ;
}

/* ---- giving way ------------------------------------------------------------------------------ */

bool pool_is_crowded(const struct pool *pool)
{
    for (unsigned i = 0; i < POOL_CLASSES; i++)
        if (pool->waiting[i])
            return true;
    return false;
}

static int64_t press(struct pool *pool, enum pool_class class, unsigned most, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    list_each (&pool->seats[class], node) {
        struct pool_seat *seat = container_of(node, struct pool_seat, node);
        if (!most)
            break;
        if (seat->overdue_ns > now_ns) {
            next_ns = seat->overdue_ns < next_ns ? seat->overdue_ns : next_ns;
            continue;
        }
        most--;
        pool->gave_way++;
        seat->give_way(seat);
    }
    return next_ns;
}

int64_t pool_press(struct pool *pool, int64_t now_ns)
{
    unsigned left = shared_room(pool), wanted = pool->waiting[POOL_QUICK];
    int64_t next_ns = INT64_MAX, at_ns;
    for (unsigned i = POOL_QUICK + 1; i < POOL_CLASSES; i++) {
        unsigned own = own_room(pool, (enum pool_class)i), waiting = pool->waiting[i];
        wanted += waiting < own ? waiting : own;
        at_ns = press(pool, (enum pool_class)i, less(waiting, own), now_ns);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    /* The shares leave a seat for every class unless the quick have taken all free seats. */
    at_ns = press(pool, POOL_QUICK, less(wanted, left), now_ns);
    return at_ns < next_ns ? at_ns : next_ns;
}
