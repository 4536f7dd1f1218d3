#include "presence/desk.h"

#include <stdlib.h>

/* `node.own` is the party. */
struct seat {
    struct map_node node;
    const void *owner;
};

static struct str key_of(const void *const *owner)
{
    return (struct str){(const char *)owner, sizeof(*owner)};
}

static bool seat_is(const struct map_node *node, struct str key)
{
    return memcmp(&container_of(node, const struct seat, node)->owner, key.at, key.len) == 0;
}

void desk_init(struct presence_desk *desk, struct mailbox *host,
               void (*open)(struct mail *mail, void *owner), uint32_t index)
{
    *desk = (struct presence_desk){.host = host, .open = open, .index = index};
    map_init(&desk->seats, seat_is);
    slab_init(&desk->slab, sizeof(struct seat));
}

void desk_deinit(struct presence_desk *desk)
{
    desk_flush(desk);
    for (struct map_node *node; (node = desk->late);) {
        desk->late = node->next;
        slab_give(container_of(node, struct seat, node));
    }
    for (struct map_node *node = map_next(&desk->seats, NULL), *next; node; node = next) {
        next = map_next(&desk->seats, node);
        map_remove(&desk->seats, node);
        slab_give(container_of(node, struct seat, node));
    }
    free(desk->sheet);
    map_deinit(&desk->seats);
    slab_deinit(&desk->slab);
    free(desk->free);
}

void desk_switch(struct presence_desk *desk, const struct presence_settings *settings)
{
    desk->settings = settings;
    desk->is_on = desk->host && presence_settings_any(settings);
}

/* ---- parties --------------------------------------------------------------------------------- */

static uint32_t party_take(struct presence_desk *desk)
{
    return desk->free_count ? desk->free[--desk->free_count] : desk->parties++;
}

/* Without memory the number is not used again: four bytes of the host are lost. */
static void party_give(struct presence_desk *desk, uint32_t party)
{
    if (desk->free_count == desk->free_cap) {
        uint32_t cap = desk->free_cap ? desk->free_cap * 2 : 64;
        uint32_t *more = mem_try_realloc(desk->free, cap * sizeof(*more));
        if (!more)
            return;
        desk->free = more;
        desk->free_cap = cap;
    }
    desk->free[desk->free_count++] = party;
}

static struct seat *seat_find(const struct presence_desk *desk, const void *owner)
{
    struct map_node *node = map_find(&desk->seats, key_of(&owner));
    return node ? container_of(node, struct seat, node) : NULL;
}

static struct seat *seat_new(struct presence_desk *desk, const void *owner)
{
    struct seat *seat = slab_take(&desk->slab);
    if (!seat)
        return NULL;
    *seat = (struct seat){.owner = owner, .node = {.own = party_take(desk)}};
    map_add(&desk->seats, &seat->node, key_of(&owner));
    return seat;
}

/* ---- reports --------------------------------------------------------------------------------- */

static void post(struct presence_desk *desk)
{
    struct desk_sheet *sheet = desk->sheet;
    desk->sheet = NULL;
    if (sheet)
        mailbox_post(desk->host, &sheet->mail);
}

/* Room for a report of `size` bytes; NULL if there is no memory. */
static char *room_for(struct presence_desk *desk, size_t size)
{
    if (desk->sheet && desk->sheet->len + size > DESK_SHEET_BYTES)
        post(desk);
    if (!desk->sheet) {
        desk->sheet = mem_try_alloc(sizeof(*desk->sheet));
        if (!desk->sheet)
            return NULL;
        desk->sheet->mail = (struct mail){.open = desk->open};
        desk->sheet->desk = desk->index;
        desk->sheet->len = 0;
    }
    char *room = desk->sheet->bytes + desk->sheet->len;
    desk->sheet->len += (uint32_t)size;
    return room;
}

static bool report(struct presence_desk *desk, const struct desk_report *report, struct str channel,
                   struct str name)
{
    char *room = room_for(desk, sizeof(*report) + channel.len + name.len);
    if (!room)
        return false;
    memcpy(room, report, sizeof(*report));
    if (channel.len)
        memcpy(room + sizeof(*report), channel.at, channel.len);
    if (name.len)
        memcpy(room + sizeof(*report) + channel.len, name.at, name.len);
    return true;
}

static void report_join(struct presence_desk *desk, const struct seat *seat, unsigned flags,
                        struct str channel, const struct presence_visitor *visitor)
{
    struct presence_who who = visitor->who;
    struct desk_report join = {.address = visitor->address,
                               .party = seat->node.own,
                               .channel_len = (uint8_t)channel.len,
                               .flags = (uint8_t)(flags | DESK_JOIN)};
    if (who.name.len > PRESENCE_NAME_MAX) {
        join.flags |= DESK_LONG;
        who.name = STR_NONE;
    }
    join.name_len = (uint8_t)who.name.len;
    if (who.verified)
        join.flags |= DESK_VERIFIED;
    (void)report(desk, &join, channel, who.name);
}

void desk_join_slow(struct presence_desk *desk, const void *owner, const struct str *channels,
                    size_t count, const struct presence_visitor *visitor)
{
    struct seat *seat = seat_find(desk, owner);
    unsigned flags = (seat ? DESK_AGAIN : 0U) | (visitor->polls ? DESK_POLL : 0U);
    for (size_t i = 0; i < count; i++) {
        if (!presence_settings_find(desk->settings, channels[i]))
            continue;
        if (!seat && !(seat = seat_new(desk, owner)))
            return;
        report_join(desk, seat, flags, channels[i], visitor);
    }
}

/* The party's number is given to another only once the host has been told, since it would take the
 * other for this one. */
static bool report_leave(struct presence_desk *desk, struct seat *seat)
{
    const struct desk_report leave = {.party = seat->node.own};
    if (!report(desk, &leave, STR_NONE, STR_NONE))
        return false;
    party_give(desk, seat->node.own);
    slab_give(seat);
    return true;
}

void desk_leave_slow(struct presence_desk *desk, const void *owner)
{
    struct seat *seat = seat_find(desk, owner);
    if (!seat)
        return;
    map_remove(&desk->seats, &seat->node);
    if (report_leave(desk, seat))
        return;
    seat->node.next = desk->late;
    desk->late = &seat->node;
}

void desk_flush_slow(struct presence_desk *desk)
{
    for (struct map_node *node; (node = desk->late);) {
        struct map_node *next = node->next;
        if (!report_leave(desk, container_of(node, struct seat, node)))
            break;
        desk->late = next;
    }
    post(desk);
}
