#include "log/store/sqlite/rowsum.h"

#include "base/checksum.h"

static uint64_t add_key(uint64_t sum, const struct event_key *key)
{
    sum = checksum_bytes(sum, (struct str){(const char *)key->key, sizeof(key->key)});
    return checksum_numbers(sum, key->content, 0);
}

/* Packs the small members into one number: channel, kind, hops, and whether there is a key. */
static uint64_t pack(const struct event *event)
{
    return event->number | (uint64_t)event->kind << 32 | (uint64_t)event->hops << 40 |
           (uint64_t)(event->key != NULL) << 48;
}

uint32_t rowsum(const struct event *event)
{
    uint64_t sum = checksum_numbers(0, event->id, pack(event));
    sum = checksum_numbers(sum, (uint64_t)event->time_us, event->prev);
    sum = checksum_bytes(sum, event->channel);
    sum = checksum_bytes(sum, event->type);
    sum = checksum_bytes(sum, event->content_type);
    sum = checksum_bytes(sum, event->from);
    sum = event->key ? add_key(sum, event->key) : sum;
    sum = checksum_bytes(sum, event->data);
    return (uint32_t)(sum ^ sum >> 32);
}
