#include "base/quota.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>

struct quota_place {
    uint64_t holder;
    uint32_t count; /* 0: the place is free */
    uint32_t next;  /* in its chain, or in the list of free places */
};

int quota_init(struct quota *quota, uint32_t holders_max)
{
    uint32_t chains = 1;
    while (chains < holders_max)
        chains *= 2;
    *quota = (struct quota){
        .lock = PTHREAD_MUTEX_INITIALIZER, .size = holders_max + 1, .used = 1, .mask = chains - 1};
    quota->places = mem_try_pages(quota->size * sizeof(*quota->places));
    quota->chains = mem_try_pages(chains * sizeof(*quota->chains));
    hash_random(quota->seed, sizeof(quota->seed));
    if (quota->places && quota->chains)
        return 0;
    quota_deinit(quota);
    return -ENOMEM;
}

void quota_deinit(struct quota *quota)
{
    if (quota->places)
        mem_free_pages(quota->places, quota->size * sizeof(*quota->places));
    if (quota->chains)
        mem_free_pages(quota->chains, (quota->mask + (size_t)1) * sizeof(*quota->chains));
    quota->places = NULL;
    quota->chains = NULL;
}

/* Addresses come from strangers, so the hash is keyed. */
static uint32_t *chain_of(struct quota *quota, uint64_t holder)
{
    struct str bytes = {(const char *)&holder, sizeof(holder)};
    return &quota->chains[map_hash(quota->seed, bytes) & quota->mask];
}

static uint32_t find(const struct quota *quota, uint32_t chain, uint64_t holder)
{
    uint32_t place = chain;
    while (place && quota->places[place].holder != holder)
        place = quota->places[place].next;
    return place;
}

static uint32_t add(struct quota *quota, uint32_t *chain, uint64_t holder)
{
    uint32_t place = quota->free;
    if (place)
        quota->free = quota->places[place].next;
    else if (quota->used < quota->size)
        place = quota->used++;
    if (!place)
        return QUOTA_NONE;
    quota->places[place] = (struct quota_place){.holder = holder, .next = *chain};
    *chain = place;
    quota->holders++;
    return place;
}

uint64_t quota_holder(const struct quota *quota, struct str name)
{
    return map_hash(quota->seed, name);
}

uint32_t quota_take(struct quota *quota, uint64_t holder, uint32_t max)
{
    uint32_t *chain = chain_of(quota, holder);
    pthread_mutex_lock(&quota->lock);
    uint32_t place = find(quota, *chain, holder);
    if (!place && max)
        place = add(quota, chain, holder);
    if (place && quota->places[place].count >= max)
        place = QUOTA_NONE;
    if (place)
        quota->places[place].count++;
    pthread_mutex_unlock(&quota->lock);
    return place;
}

static void remove_place(struct quota *quota, uint32_t place)
{
    uint32_t *at = chain_of(quota, quota->places[place].holder);
    while (*at != place)
        at = &quota->places[*at].next;
    *at = quota->places[place].next;
    quota->places[place].next = quota->free;
    quota->free = place;
    quota->holders--;
}

void quota_give(struct quota *quota, uint32_t place)
{
    if (!place)
        return;
    pthread_mutex_lock(&quota->lock);
    if (!quota->places[place].count)
        abort();
    if (!--quota->places[place].count)
        remove_place(quota, place);
    pthread_mutex_unlock(&quota->lock);
}

uint32_t quota_count(struct quota *quota, uint64_t holder)
{
    const uint32_t *chain = chain_of(quota, holder);
    pthread_mutex_lock(&quota->lock);
    uint32_t place = find(quota, *chain, holder);
    uint32_t count = place ? quota->places[place].count : 0;
    pthread_mutex_unlock(&quota->lock);
    return count;
}

uint32_t quota_holders(struct quota *quota)
{
    pthread_mutex_lock(&quota->lock);
    uint32_t holders = quota->holders;
    pthread_mutex_unlock(&quota->lock);
    return holders;
}
