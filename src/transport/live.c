#include "transport/live.h"

#include "transport/audit_notes.h"
#include "transport/worker_state.h"

#include <errno.h>
#include <stdlib.h>

/* A slice ends after so many entries, or after this time, of which the clock tells once in
 * LOOK_EACH entries: to check one costs less than a microsecond, and to end one more than ten. */
enum {
    SLICE = 256,
    SLICE_US = 500,
    LOOK_EACH = 8,
    EXPIRY_LOOK_MS = 60000, /* the wall clock may jump, so look at times at least this often */
};

struct live {
    struct map_node node;
    struct list in_turn; /* in table->checked or table->unchecked */
    void *owner;
    struct caller *caller;
    const struct live_ops *ops;
};

static struct str key_of(const void *const *owner)
{
    return (struct str){(const char *)owner, sizeof(*owner)};
}

static bool has_owner(const struct map_node *node, struct str key)
{
    const struct live *live = container_of(node, struct live, node);
    return memcmp(&live->owner, key.at, sizeof(live->owner)) == 0;
}

static struct live *find(const struct worker *worker, const void *owner)
{
    if (!worker->live.map.count)
        return NULL;
    struct map_node *node = map_find(&worker->live.map, key_of(&owner));
    return node ? container_of(node, struct live, node) : NULL;
}

/* ---- expiry ---------------------------------------------------------------------------------- */

static void set_timer(struct worker *worker)
{
    struct live_table *table = &worker->live;
    int64_t ms = EXPIRY_LOOK_MS, now_us = clock_wall_us(worker->config.clock);
    if (table->next_expiry_us == INT64_MAX) {
        timer_stop(&table->timer);
        return;
    }
    if (table->next_expiry_us - now_us < ms * 1000)
        ms = table->next_expiry_us > now_us ? (table->next_expiry_us - now_us) / 1000 + 1 : 0;
    timer_set(&worker->loop, &table->timer, ms);
}

static void note_expiry(struct worker *worker, const struct caller *caller)
{
    int64_t expires_us = caller->facts.expires_us;
    if (!expires_us || expires_us >= worker->live.next_expiry_us)
        return;
    worker->live.next_expiry_us = expires_us;
    set_timer(worker);
}

static void ring(struct timer *timer)
{
    live_look(container_of(timer, struct worker, live.timer));
}

/* ---- the table ------------------------------------------------------------------------------- */

void live_init(struct worker *worker)
{
    struct live_table *table = &worker->live;
    *table = (struct live_table){.timer = {.ring = ring}, .next_expiry_us = INT64_MAX};
    map_init(&table->map, has_owner);
    list_init(&table->checked);
    list_init(&table->unchecked);
    list_init(&table->disconnections);
}

static void live_free(struct worker *worker, struct live *live)
{
    map_remove(&worker->live.map, &live->node);
    quota_give(worker->config.subjects, live->node.own);
    list_remove(&live->in_turn);
    caller_unref(live->caller);
    free(live);
}

void live_deinit(struct worker *worker)
{
    struct live_table *table = &worker->live;
    live_give_up(worker);
    list_take_all(&table->checked, &table->unchecked);
    list_each (&table->checked, node)
        live_free(worker, container_of(node, struct live, in_turn));
    map_deinit(&table->map);
}

/* Counts one more for the caller's subject. A credential without a subject is not limited. */
static int take_place(struct worker *worker, const struct caller *caller,
                      const struct live_ops *ops, uint32_t *ret_place)
{
    struct quota *subjects = worker->config.subjects;
    uint32_t max = worker->config.limits.subject_connections_max;
    struct str subject = caller_subject(caller);
    *ret_place = QUOTA_NONE;
    if (!max || !subjects || !subject.len || ops->is_part)
        return 0;
    *ret_place = quota_take(subjects, quota_holder(subjects, subject), max);
    if (*ret_place)
        return 0;
    worker_hit(worker, LIMIT_SUBJECT);
    return -EDQUOT;
}

static void add(struct worker *worker, struct live *live)
{
    const void *key = live->owner;
    map_add(&worker->live.map, &live->node, key_of(&key));
    /* A revocation may have come between the identification and now. */
    list_add_last(&worker->live.unchecked, &live->in_turn);
    note_expiry(worker, live->caller);
}

int live_add(struct worker *worker, void *owner, struct caller *caller, const struct live_ops *ops)
{
    uint32_t place;
    int result = take_place(worker, caller, ops, &place);
    if (result)
        return result;
    struct live *live = mem_try_alloc(sizeof(*live));
    if (!live) {
        quota_give(worker->config.subjects, place);
        return -ENOMEM;
    }
    *live =
        (struct live){.node.own = place, .owner = owner, .caller = caller_ref(caller), .ops = ops};
    add(worker, live);
    return 0;
}

int live_change(struct worker *worker, void *owner, struct caller *caller,
                const struct live_ops *ops)
{
    struct live *live = find(worker, owner);
    bool is_same = live && str_eq(caller_subject(live->caller), caller_subject(caller));
    uint32_t place = QUOTA_NONE;
    if (!live)
        return live_add(worker, owner, caller, ops);
    int result = is_same ? 0 : take_place(worker, caller, ops, &place);
    if (result)
        return result;
    struct caller *before = live->caller;
    live->caller = caller_ref(caller);
    caller_unref(before);
    if (!is_same) {
        quota_give(worker->config.subjects, live->node.own);
        live->node.own = place;
    }
    list_remove(&live->in_turn);
    /* Put it first: behind the mark of a disconnection that is under way, the disconnection would
     * never look at it. */
    list_add_first(&worker->live.unchecked, &live->in_turn);
    note_expiry(worker, caller);
    return 0;
}

void live_remove(struct worker *worker, const void *owner)
{
    struct live *live = find(worker, owner);
    if (live)
        live_free(worker, live);
}

struct caller *live_caller(const struct worker *worker, const void *owner)
{
    struct live *live = find(worker, owner);
    return live ? live->caller : NULL;
}

/* ---- ending ---------------------------------------------------------------------------------- */

static bool end(struct worker *worker, struct live *live, enum ending why)
{
    const struct live_ops *ops = live->ops;
    void *owner = live->owner;
    struct audit_entry entry = {
        .kind = AUDIT_DISCONNECTED, .caller = live->caller, .why = ending_words(why)};
    audit_note(worker, NULL, &entry);
    live_free(worker, live);
    return ops->end(owner, why);
}

void live_look(struct worker *worker)
{
    struct live_table *table = &worker->live;
    list_take_all(&table->unchecked, &table->checked);
    table->next_expiry_us = INT64_MAX; /* found anew, as the entries are checked */
    timer_stop(&table->timer);
}

/* Why the caller has no rights any more; ENDINGS_COUNT if it has. */
static enum ending find_end(const struct worker *worker, const struct caller *caller)
{
    const struct worker_config *config = &worker->config;
    int64_t now_us = clock_wall_us(config->clock);
    if (!caller_is_authenticated(caller, now_us))
        return ENDING_EXPIRED;
    if (!config->is_revoked || !config->is_revoked(config->app, caller, now_us))
        return ENDINGS_COUNT;
    bool by_rules = config->is_disowned && config->is_disowned(config->app, caller, now_us);
    return by_rules ? ENDING_RULES : ENDING_REVOKED;
}

/* ---- disconnecting --------------------------------------------------------------------------- */

static struct live_disconnection *of_node(struct list *node)
{
    return container_of(node, struct live_disconnection, node);
}

static bool is_meant(const struct live_disconnection *by, const struct live *live)
{
    return caller_is_of(live->caller, by->subject) &&
           (!by->channel.len || live->ops->reads(live->owner, by->channel));
}

/* The first disconnection that means the entry; NULL if none does. */
static struct live_disconnection *find_disconnection(const struct worker *worker,
                                                     const struct live *live)
{
    list_each (&worker->live.disconnections, node)
        if (is_meant(of_node(node), live))
            return of_node(node);
    return NULL;
}

static void finish(struct live_disconnection *disconnection)
{
    list_remove(&disconnection->node);
    list_remove(&disconnection->mark);
    disconnection->done(disconnection);
}

void live_give_up(struct worker *worker)
{
    while (!list_empty(&worker->live.disconnections))
        finish(of_node(worker->live.disconnections.next));
}

void live_disconnect(struct worker *worker, struct live_disconnection *disconnection)
{
    struct live_table *table = &worker->live;
    disconnection->ended = 0;
    list_take_all(&table->unchecked, &table->checked);
    list_add_last(&table->unchecked, &disconnection->mark);
    list_add_last(&table->disconnections, &disconnection->node);
    if (worker->stopping)
        live_give_up(worker);
}

unsigned live_disconnections(const struct worker *worker)
{
    unsigned count = 0;
    list_each (&worker->live.disconnections, node)
        count++;
    return count;
}

/* ---- looking at all, in slices ----------------------------------------------------------------
 */

static void check(struct worker *worker, struct live *live)
{
    struct live_disconnection *by = find_disconnection(worker, live);
    if (by) {
        by->ended += end(worker, live, ENDING_DISCONNECTED);
        return;
    }
    live->caller = worker_renew(worker, live->caller);
    enum ending why = find_end(worker, live->caller);
    if (why != ENDINGS_COUNT) {
        (void)end(worker, live, why);
        return;
    }
    list_add_last(&worker->live.checked, &live->in_turn);
    note_expiry(worker, live->caller);
}

/* The disconnection whose mark this is; NULL: it is an entry. Marks lie in the order of their
 * disconnections, so the first to come is that of the first. */
static struct live_disconnection *find_mark(const struct live_table *table, const struct list *node)
{
    if (list_empty(&table->disconnections))
        return NULL;
    struct live_disconnection *first = of_node(table->disconnections.next);
    return node == &first->mark ? first : NULL;
}

void live_check_some(struct worker *worker)
{
    struct live_table *table = &worker->live;
    struct list *node;
    if (list_empty(&table->unchecked))
        return;
    int64_t until_ns = clock_now_ns(worker->config.clock) + SLICE_US * INT64_C(1000);
    for (unsigned i = 0; i < SLICE && (node = list_take_first(&table->unchecked)); i++) {
        struct live_disconnection *over = find_mark(table, node);
        if (over)
            finish(over);
        else
            check(worker, container_of(node, struct live, in_turn));
        if (i % LOOK_EACH == LOOK_EACH - 1 && clock_now_ns(worker->config.clock) >= until_ns)
            return;
    }
}

bool live_is_busy(const struct worker *worker)
{
    return !list_empty(&worker->live.unchecked);
}
