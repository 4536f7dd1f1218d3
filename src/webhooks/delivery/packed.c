#include "webhooks/delivery/packed.h"

struct packed_head {
    uint64_t id;
    uint64_t prev;
    int64_t time_us;
    uint32_t lens[5]; /* the lengths of channel, type, from, content type and data */
    uint8_t kind;
    uint8_t state;
    uint8_t hops;
    uint8_t none;
};

void packed_add(struct buf *out, const struct event *event)
{
    const struct str parts[5] = {event->channel, event->type, event->from, event->content_type,
                                 event->data};
    struct packed_head head = {.id = event->id,
                               .prev = event->prev,
                               .time_us = event->time_us,
                               .kind = event->kind,
                               .state = event->state,
                               .hops = event->hops};
    for (size_t i = 0; i < 5; i++)
        head.lens[i] = (uint32_t)parts[i].len;
    buf_add(out, &head, sizeof(head));
    for (size_t i = 0; i < 5; i++)
        buf_add_str(out, parts[i]);
}

size_t packed_read(struct str bytes, struct event *ret_event)
{
    struct packed_head head;
    struct str *parts[5] = {&ret_event->channel, &ret_event->type, &ret_event->from,
                            &ret_event->content_type, &ret_event->data};
    size_t at = sizeof(head);
    if (bytes.len < sizeof(head))
        return 0;
    memcpy(&head, bytes.at, sizeof(head));
    *ret_event = (struct event){.id = head.id,
                                .prev = head.prev,
                                .time_us = head.time_us,
                                .kind = head.kind,
                                .state = head.state,
                                .hops = head.hops};
    for (size_t i = 0; i < 5; i++) {
        if (head.lens[i] > bytes.len - at)
            return 0;
        *parts[i] = (struct str){bytes.at + at, head.lens[i]};
        at += head.lens[i];
    }
    return at;
}
