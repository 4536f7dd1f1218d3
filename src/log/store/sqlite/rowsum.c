#include "log/store/sqlite/rowsum.h"

#include "base/checksum.h"

static uint64_t add_key(uint64_t sum, const struct event_key *key)
{
    if (!key)
        return checksum_number(sum, 0);
    sum = checksum_bytes(sum, (struct str){(const char *)key->key, sizeof(key->key)});
    return checksum_number(sum, key->content);
}

uint32_t rowsum(const struct event *event)
{
    const uint64_t numbers[] = {event->number, (uint64_t)event->time_us, event->prev,
                                event->kind | (uint64_t)event->hops << 8};
    const struct str texts[] = {event->channel, event->type, event->content_type, event->from};
    uint64_t sum = event->id;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sum = checksum_number(sum, numbers[i]);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        sum = checksum_bytes(sum, texts[i]);
    sum = checksum_bytes(add_key(sum, event->key), event->data);
    return (uint32_t)(sum ^ sum >> 32);
}
