#include "publish/rates.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "log/selection.h"
#include "publish/maker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* 64 Ki slots of 32 bytes. */
enum { WAYS = 8, SETS = 8192, LOCKS = 64 };

struct slot {
    uint64_t holder; /* 0: the slot is free */
    struct bucket buckets[RATE_UNITS];
    uint32_t batches[RATE_UNITS]; /* the last publish that found the bucket full; 0: one event */
};

struct rates {
    struct slot (*sets)[WAYS];
    uint64_t seed[2];
    _Atomic uint32_t batches; /* numbers that were given */
    pthread_mutex_t locks[LOCKS];
};

/* ---- settings -------------------------------------------------------------------------------- */

static int by_prefix(const void *a, const void *b)
{
    const struct publish_limit *left = a, *right = b;
    return str_cmp(left->prefix, right->prefix);
}

static size_t find(const struct publish_limits *limits, size_t among, struct str name)
{
    for (;; name = name_parent(name)) {
        const struct publish_limit wanted = {.prefix = name};
        const struct publish_limit *at =
            bsearch(&wanted, limits->at, among, sizeof(wanted), by_prefix);
        if (at || !name.len)
            return at ? (size_t)(at - limits->at) : 0;
    }
}

static bool has_rates(const struct publish_limit *limit)
{
    for (unsigned holder = 0; holder < RATE_HOLDERS; holder++)
        for (unsigned unit = 0; unit < RATE_UNITS; unit++)
            if (limit->rates[holder][unit])
                return true;
    return false;
}

/* A shorter prefix sorts before a longer one, so its limit is complete. */
static void inherit(struct publish_limits *limits, size_t i)
{
    struct publish_limit *limit = &limits->at[i];
    limit->has_rates = has_rates(limit);
    limit->owner = (uint16_t)i;
    if (!i)
        return;
    const struct publish_limit *from = &limits->at[find(limits, i, name_parent(limit->prefix))];
    if (!limit->event_max)
        limit->event_max = from->event_max;
    if (limit->has_rates)
        return;
    memcpy(limit->rates, from->rates, sizeof(limit->rates));
    limit->window_s = from->window_s;
    limit->has_rates = from->has_rates;
    limit->owner = from->owner;
}

int publish_limits_new(const struct publish_limit *list, size_t count, struct publish_limits **ret)
{
    size_t size = count * sizeof(*list);
    struct publish_limits *limits = mem_try_alloc(sizeof(*limits) + size);
    bool limited = false;
    *ret = NULL;
    if (!limits)
        return -ENOMEM;
    limits->count = count;
    memcpy(limits->at, list, size);
    qsort(limits->at, count, sizeof(*list), by_prefix);
    for (size_t i = 0; i < count; i++) {
        inherit(limits, i);
        limited = limited || limits->at[i].has_rates || limits->at[i].event_max;
    }
    if (limited)
        *ret = limits;
    else
        free(limits);
    return 0;
}

/* ---- the buckets ----------------------------------------------------------------------------- */

struct rates *rates_new(void)
{
    struct rates *rates = mem_try_alloc(sizeof(*rates));
    if (!rates)
        return NULL;
    *rates = (struct rates){.sets = mem_try_pages(SETS * sizeof(*rates->sets))};
    hash_random(rates->seed, sizeof(rates->seed));
    for (int i = 0; i < LOCKS; i++)
        pthread_mutex_init(&rates->locks[i], NULL);
    if (rates->sets)
        return rates;
    free(rates);
    return NULL;
}

void rates_free(struct rates *rates)
{
    if (!rates)
        return;
    mem_free_pages(rates->sets, SETS * sizeof(*rates->sets));
    free(rates);
}

uint32_t rates_number(struct rates *rates)
{
    uint32_t number = atomic_fetch_add_explicit(&rates->batches, 1, memory_order_relaxed) + 1;
    return number ? number : 1;
}

/* An event as it counts: for whom, and how much of each unit. */
struct charge {
    const struct publish_limit *limit;
    uint32_t batch;
    uint64_t holders[RATE_HOLDERS]; /* 0: nobody, or there is no limit */
    uint64_t amounts[RATE_UNITS];
};

static struct str holder_name(enum rate_holder holder, const struct publisher *publisher,
                              struct str channel, uint64_t *address)
{
    const struct caller *caller = publisher->access.caller;
    switch (holder) {
    case RATE_KEY:
        return caller ? caller->facts.key_id : STR_NONE;
    case RATE_SUBJECT:
        return caller_subject(caller);
    case RATE_CHANNEL:
        return channel;
    case RATE_ADDRESS:
    default:
        *address = publisher_address(publisher);
        return (struct str){(const char *)address, *address ? sizeof(*address) : 0};
    }
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
    return (hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Holders of different kinds, and of different rates, have different buckets: what was owed at a
 * rate before a reload may be much more than the new rate lets anybody owe. */
static uint64_t holder_of(const struct rates *rates, const struct publish_limit *limit,
                          enum rate_holder holder, struct str name)
{
    uint64_t kind = mix((uint64_t)limit->owner * RATE_HOLDERS + holder + 1, limit->window_s);
    for (unsigned unit = 0; unit < RATE_UNITS; unit++)
        kind = mix(kind, limit->rates[holder][unit]);
    uint64_t hash = map_hash(rates->seed, name) ^ kind;
    return hash ? hash : 1;
}

static struct charge charge_of(const struct rates *rates, const struct publish_limit *limit,
                               const struct rate_event *event)
{
    struct charge charge = {.limit = limit, .batch = event->batch, .amounts = {1, event->bytes}};
    for (unsigned i = 0; i < RATE_HOLDERS; i++) {
        uint64_t address = 0;
        if (!limit->rates[i][RATE_EVENTS] && !limit->rates[i][RATE_BYTES])
            continue;
        struct str name = holder_name(i, event->publisher, event->channel, &address);
        if (name.len)
            charge.holders[i] = holder_of(rates, limit, i, name);
    }
    return charge;
}

static struct bucket_rate rate_of(const struct publish_limit *limit, enum rate_holder holder,
                                  enum rate_unit unit)
{
    return (struct bucket_rate){limit->rates[holder][unit] * limit->window_s,
                                (int64_t)limit->window_s * 1000000000};
}

static pthread_mutex_t *lock_of(struct rates *rates, uint64_t holder)
{
    return &rates->locks[holder % LOCKS];
}

static struct slot *find_slot(struct rates *rates, uint64_t holder)
{
    struct slot *set = rates->sets[holder % SETS];
    for (int i = 0; i < WAYS; i++)
        if (set[i].holder == holder)
            return &set[i];
    return NULL;
}

static int64_t full_ns(const struct slot *slot)
{
    int64_t events_ns = slot->buckets[RATE_EVENTS].full_ns;
    int64_t bytes_ns = slot->buckets[RATE_BYTES].full_ns;
    return events_ns > bytes_ns ? events_ns : bytes_ns;
}

/* The search begins anywhere, so that holders which come at once do not all take the same place. */
static struct slot *make_slot(struct rates *rates, uint64_t holder)
{
    struct slot *set = rates->sets[holder % SETS];
    unsigned first = holder >> 32 & (WAYS - 1);
    struct slot *soonest = &set[first];
    for (unsigned i = 1; i < WAYS; i++) {
        struct slot *slot = &set[(first + i) & (WAYS - 1)];
        if (full_ns(slot) < full_ns(soonest))
            soonest = slot;
    }
    *soonest = (struct slot){.holder = holder};
    return soonest;
}

static void give_units(struct slot *slot, const struct charge *charge, enum rate_holder holder,
                       unsigned units)
{
    for (unsigned unit = 0; unit < units; unit++) {
        struct bucket_rate rate = rate_of(charge->limit, holder, unit);
        if (rate.amount)
            bucket_give(&slot->buckets[unit], &rate, charge->amounts[unit]);
    }
}

/* The policies, as RateLimit tells them. */
static const char *const names[RATE_HOLDERS][RATE_UNITS] = {
    {"key-events", "key-bytes"},
    {"subject-events", "subject-bytes"},
    {"address-events", "address-bytes"},
    {"channel-events", "channel-bytes"},
};

static uint64_t ms_of(int64_t wait_ns)
{
    return wait_ns > 0 ? (uint64_t)(wait_ns + 999999) / 1000000 : 1;
}

static void refuse(const struct charge *charge, enum rate_holder holder, enum rate_unit unit,
                   int64_t wait_ns, struct refusal *ret_refusal)
{
    static const char *const details[RATE_HOLDERS] = {
        "this API key publishes faster than it may (rates.key): wait, then go on slower",
        "this subject publishes faster than it may (rates.subject): wait, then go on slower",
        "this address publishes faster than it may (rates.address): wait, then go on slower",
        "this channel gets events faster than it may (rates.channel): wait, then go on slower",
    };
    refusal_set(ret_refusal, PROBLEM_TOO_MANY, details[holder]);
    ret_refusal->retry_ms = ms_of(wait_ns);
    ret_refusal->rate = (struct refusal_rate){
        .policy = names[holder][unit],
        .quota = rate_of(charge->limit, holder, unit).amount,
        .window_s = charge->limit->window_s,
        .is_bytes = unit == RATE_BYTES,
    };
}

/* Takes one unit. The events of a batch that has found the bucket full get all that they need. */
static bool take_unit(struct slot *slot, const struct charge *charge, enum rate_unit unit,
                      const struct bucket_rate *rate, int64_t now_ns, int64_t *ret_wait_ns)
{
    struct bucket *bucket = &slot->buckets[unit];
    if (bucket_is_full(bucket, now_ns)) {
        slot->batches[unit] = charge->batch;
    } else if (charge->batch && slot->batches[unit] == charge->batch) {
        bucket_owe(bucket, rate, charge->amounts[unit], now_ns);
        return true;
    }
    return bucket_take(bucket, rate, charge->amounts[unit], now_ns, ret_wait_ns);
}

static bool take_units(struct slot *slot, const struct charge *charge, enum rate_holder holder,
                       int64_t now_ns, struct refusal *ret_refusal)
{
    for (unsigned unit = 0; unit < RATE_UNITS; unit++) {
        struct bucket_rate rate = rate_of(charge->limit, holder, unit);
        int64_t wait_ns;
        if (!rate.amount || take_unit(slot, charge, unit, &rate, now_ns, &wait_ns))
            continue;
        give_units(slot, charge, holder, unit);
        refuse(charge, holder, unit, wait_ns, ret_refusal);
        return false;
    }
    return true;
}

static bool take(struct rates *rates, const struct charge *charge, enum rate_holder holder,
                 int64_t now_ns, struct refusal *ret_refusal)
{
    uint64_t id = charge->holders[holder];
    if (!id)
        return true;
    pthread_mutex_lock(lock_of(rates, id));
    struct slot *slot = find_slot(rates, id);
    bool taken =
        take_units(slot ? slot : make_slot(rates, id), charge, holder, now_ns, ret_refusal);
    pthread_mutex_unlock(lock_of(rates, id));
    return taken;
}

static void give(struct rates *rates, const struct charge *charge, unsigned holders)
{
    for (unsigned holder = 0; holder < holders; holder++) {
        uint64_t id = charge->holders[holder];
        if (!id)
            continue;
        pthread_mutex_lock(lock_of(rates, id));
        struct slot *slot = find_slot(rates, id);
        if (slot)
            give_units(slot, charge, holder, RATE_UNITS);
        pthread_mutex_unlock(lock_of(rates, id));
    }
}

/* ---- events ---------------------------------------------------------------------------------- */

bool rates_take(struct rates *rates, const struct publish_limits *limits,
                const struct rate_event *event, int64_t now_ns, struct refusal *ret_refusal)
{
    const struct publish_limit *limit = &limits->at[find(limits, limits->count, event->channel)];
    if (event->publisher->is_server)
        return true;
    if (limit->event_max && event->bytes > limit->event_max) {
        (void)refusal_set(ret_refusal, PROBLEM_TOO_LARGE,
                          "the data has more than `max` bytes (namespaces.event_max)");
        ret_refusal->most = limit->event_max;
        return false;
    }
    if (!limit->has_rates)
        return true;
    struct charge charge = charge_of(rates, limit, event);
    for (unsigned holder = 0; holder < RATE_HOLDERS; holder++) {
        if (take(rates, &charge, holder, now_ns, ret_refusal))
            continue;
        give(rates, &charge, holder);
        return false;
    }
    return true;
}

static int64_t wait_of(struct rates *rates, uint64_t id, enum rate_unit unit, int64_t now_ns)
{
    pthread_mutex_lock(lock_of(rates, id));
    const struct slot *slot = find_slot(rates, id);
    int64_t wait_ns = slot ? slot->buckets[unit].full_ns - now_ns : 0;
    pthread_mutex_unlock(lock_of(rates, id));
    return wait_ns;
}

uint64_t rates_full_ms(struct rates *rates, const struct publish_limits *limits,
                       const struct rate_event *event, int64_t now_ns,
                       const struct refusal *refusal)
{
    const struct publish_limit *limit = &limits->at[find(limits, limits->count, event->channel)];
    struct charge charge = charge_of(rates, limit, event);
    for (unsigned holder = 0; holder < RATE_HOLDERS; holder++)
        for (unsigned unit = 0; unit < RATE_UNITS; unit++)
            if (refusal->rate.policy == names[holder][unit] && charge.holders[holder])
                return ms_of(wait_of(rates, charge.holders[holder], unit, now_ns));
    return refusal->retry_ms;
}

void rates_give(struct rates *rates, const struct publish_limits *limits,
                const struct rate_event *event)
{
    const struct publish_limit *limit = &limits->at[find(limits, limits->count, event->channel)];
    if (!limit->has_rates || event->publisher->is_server)
        return;
    struct charge charge = charge_of(rates, limit, event);
    give(rates, &charge, RATE_HOLDERS);
}
