#include "presence/shares.h"

#include "base/hash.h"
#include "base/map.h"

#include <stdlib.h>

void shares_init(struct shares *shares)
{
    hash_random(shares->seed, sizeof(shares->seed));
}

static uint16_t holder(const struct shares *shares, struct str bytes)
{
    return (uint16_t)(1 + map_hash(shares->seed, bytes) % SHARE_HOLDERS);
}

uint16_t shares_address(const struct shares *shares, uint64_t address)
{
    return holder(shares, (struct str){(const char *)&address, sizeof(address)});
}

uint16_t shares_subject(const struct shares *shares, struct presence_who who)
{
    return who.verified && who.name.len ? holder(shares, who.name) : 0;
}

bool share_has_place(uint32_t own, uint64_t taken, uint64_t max, unsigned percent)
{
    uint64_t left = taken < max ? max - taken : 0;
    if (!percent || percent >= 100 || max < SHARES_FROM)
        return true;
    return (uint64_t)own * 100 < percent * (own + left);
}

void shares_take(struct shares *shares, enum share_kind kind, uint16_t address, uint16_t subject)
{
    shares->of_address[kind][address] += address != 0;
    shares->of_subject[kind][subject] += subject != 0;
}

static void give(uint32_t *count)
{
    if (!*count)
        abort(); /* more was given back than taken */
    (*count)--;
}

void shares_give(struct shares *shares, enum share_kind kind, uint16_t address, uint16_t subject)
{
    if (address)
        give(&shares->of_address[kind][address]);
    if (subject)
        give(&shares->of_subject[kind][subject]);
}
