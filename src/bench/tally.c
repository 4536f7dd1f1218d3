#include "bench/tally.h"

#include "base/mem.h"

#include <stdlib.h>

void tally_init(struct tally *tally, uint32_t channels, uint32_t publishers)
{
    uint32_t lanes = channels > publishers ? channels : publishers;
    *tally = (struct tally){.channels = channels, .publishers = publishers, .lanes = lanes};
    tally->published = mem_alloc(lanes * sizeof(uint32_t));
    tally->audience = mem_alloc(channels * sizeof(uint32_t));
}

void tally_deinit(struct tally *tally)
{
    free(tally->published);
    free(tally->audience);
}

static uint32_t lanes_of(const struct tally *tally, uint32_t channel)
{
    if (channel == SEEN_ALL)
        return tally->lanes;
    return (tally->lanes - channel + tally->channels - 1) / tally->channels;
}

static void join_channel(struct tally *tally, struct seen *seen, uint32_t channel, bool from_start)
{
    tally->audience[channel]++;
    for (uint32_t lane = channel; lane < tally->lanes; lane += tally->channels) {
        uint32_t *next = seen->lanes == 1            ? &seen->next.one
                         : seen->channel == SEEN_ALL ? &seen->next.many[lane]
                                                     : &seen->next.many[lane / tally->channels];
        *next = from_start ? 0 : tally->published[lane];
        tally->due += from_start ? tally->published[lane] : 0;
    }
}

void tally_join(struct tally *tally, struct seen *seen, uint32_t channel, bool from_start)
{
    *seen = (struct seen){.channel = channel, .lanes = lanes_of(tally, channel)};
    if (seen->lanes > 1)
        seen->next.many = mem_alloc(seen->lanes * sizeof(uint32_t));
    uint32_t first = channel == SEEN_ALL ? 0 : channel;
    uint32_t end = channel == SEEN_ALL ? tally->channels : channel + 1;
    for (uint32_t i = first; i < end; i++)
        join_channel(tally, seen, i, from_start);
}

void seen_deinit(struct seen *seen)
{
    if (seen->lanes > 1)
        free(seen->next.many);
}

uint32_t tally_publish(struct tally *tally, uint32_t lane)
{
    uint32_t channel = lane < tally->channels ? lane : lane % tally->channels;
    tally->due += tally->audience[channel];
    return tally->published[lane]++;
}

/* The subscriber's position in the lane; NULL if the lane is not one of its own. */
static uint32_t *next_of(const struct tally *tally, struct seen *seen, uint32_t lane)
{
    if (lane >= tally->lanes)
        return NULL;
    if (seen->channel == SEEN_ALL)
        return seen->lanes == 1 ? &seen->next.one : &seen->next.many[lane];
    if (seen->lanes == 1)
        return lane == seen->channel ? &seen->next.one : NULL;
    return lane % tally->channels == seen->channel ? &seen->next.many[lane / tally->channels]
                                                   : NULL;
}

void tally_take(struct tally *tally, struct seen *seen, uint32_t lane, uint32_t number)
{
    uint32_t *next = next_of(tally, seen, lane);
    if (!next) {
        tally->strange++;
    } else if (number < *next) {
        tally->repeated++;
    } else {
        tally->missing += number - *next;
        tally->taken++;
        *next = number + 1;
    }
}

bool tally_settled(const struct tally *tally)
{
    return tally->taken + tally->missing >= tally->due;
}

bool tally_perfect(const struct tally *tally)
{
    return tally->taken == tally->due && !tally->missing && !tally->repeated && !tally->strange;
}

bool seen_has(const struct tally *tally, const struct seen *seen, uint32_t lane, uint32_t count)
{
    const uint32_t *next = next_of(tally, (struct seen *)(uintptr_t)seen, lane);
    return next && *next >= count;
}
