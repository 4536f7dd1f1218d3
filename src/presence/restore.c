/* The file was written behind the events: it has all that was told up to a position, and perhaps
 * more. The events behind that position say the rest: joined, left, updated, occupied and vacated,
 * in the order in which they were told. A change that both have is made twice, and that does no
 * harm. If the log has trimmed such events meanwhile, as little as the file has is known. */
#include "presence/restore.h"

#include "base/json.h"
#include "base/say.h"
#include "base/utf8.h"
#include "log/readers.h"
#include "presence/losses.h"
#include "presence/marks.h"
#include "presence/members.h"
#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/telling.h"

#include <errno.h>

enum { EVENTS_A_READ = 1000, READ_BYTES = 4 << 20 };

static struct person *find_member(const struct presence *presence, struct str channel,
                                  struct presence_who who)
{
    const struct room *room = rooms_find(presence, channel);
    return room ? roster_find(&room->members, who) : NULL;
}

static bool has_good_name(const struct save_row *row)
{
    bool is_named = row->kind == SAVE_MARK || row->kind == SAVE_MEMBER;
    return !is_named ||
           (row->name.len && row->name.len <= PRESENCE_NAME_MAX && utf8_valid(row->name));
}

/* A state goes into answers and events as it is. */
static bool is_state(struct str state)
{
    return state.len <= PRESENCE_STATE_MAX && !memchr(state.at, '\n', state.len) &&
           !memchr(state.at, '\r', state.len) && !json_check(state, PRESENCE_STATE_DEPTH_MAX, NULL);
}

static void take_member(struct presence *presence, const struct save_row *row)
{
    struct presence_who who = {row->name, row->verified};
    bool has_state = row->state.len && is_state(row->state);
    if (row->state.len && !has_state)
        say(SAY_WARN, "presence_state_not_read", "bytes=%zu", row->state.len);
    if (!find_member(presence, row->channel, who))
        member_restore(presence, row->channel, who, row->since_ms,
                       has_state ? row->state : STR_NONE);
}

/* SQLite finds damage to its pages, and not to what is in them. */
static void take_row(void *context, const struct save_row *row)
{
    struct presence *presence = context;
    struct presence_who who = {row->name, row->verified};
    struct room *room;
    if (!name_valid(row->channel, NULL) || !has_good_name(row)) {
        say(SAY_WARN, "presence_row_not_read", "kind=%d", (int)row->kind);
        return;
    }
    switch (row->kind) {
    case SAVE_MARK:
        if ((room = rooms_get(presence, row->channel)))
            mark_load(presence, room, who, row->read);
        break;
    case SAVE_MEMBER:
        take_member(presence, row);
        break;
    case SAVE_OWED:
        losses_restore(presence, row->channel, row->owes);
        break;
    default:
        room_restore(presence, row->channel);
    }
}

/* ---- the events behind the file -------------------------------------------------------------- */

/* The members of an event's data. */
struct said {
    struct buf name;
    struct str state; /* `at` NULL: not given; empty: null */
    bool verified;
    bool good;
};

static struct said read_data(struct str data)
{
    struct said said = {.good = false};
    struct str key, value;
    size_t pos = 0;
    while (json_next(data, &pos, &key, &value)) {
        if (str_eq(key, STR("member")))
            said.good = !json_unescape(value, &said.name) && said.name.len <= PRESENCE_NAME_MAX;
        else if (str_eq(key, STR("verified")))
            said.verified = str_eq(value, STR("true"));
        else if (str_eq(key, STR("state")))
            said.state = str_eq(value, STR("null")) ? STR("") : value;
    }
    said.good = said.good && said.name.len && !buf_failed(&said.name);
    return said;
}

static void take_person(struct presence *presence, const struct event *event, struct str channel)
{
    struct said said = read_data(event->data);
    struct presence_who who = {buf_str(&said.name), said.verified};
    struct person *member = said.good ? find_member(presence, channel, who) : NULL;
    if (said.good && str_eq(event->type, STR("joined")) && !member) {
        member_restore(presence, channel, who, event->time_us / 1000, said.state);
        if ((member = find_member(presence, channel, who)))
            save_member(presence, member, true);
    } else if (member && str_eq(event->type, STR("left"))) {
        member_unrestore(presence, channel, who);
    } else if (member && said.state.at) {
        (void)member_say(presence, member, said.state);
        save_member(presence, member, true);
    }
    buf_free(&said.name);
}

static void take_occupied(struct presence *presence, const struct event *event, struct str channel)
{
    if (str_eq(event->type, STR("vacated"))) {
        room_unrestore(presence, channel);
        return;
    }
    room_restore(presence, channel);
    const struct room *room = rooms_find(presence, channel);
    if (room)
        save_occupied(presence, room, true);
}

static void take_event(struct presence *presence, const struct event *event)
{
    struct str persons = STR(PRESENCE_CHANNELS), occupied = STR(OCCUPIED_CHANNELS);
    if (event->state != EVENT_APPENDED)
        return;
    if (str_starts(event->channel, persons))
        take_person(presence, event, str_skip(event->channel, persons.len));
    else if (str_starts(event->channel, occupied))
        take_occupied(presence, event, str_skip(event->channel, occupied.len));
}

static int read_on(struct presence *presence, struct selection *selection, uint64_t *after,
                   uint64_t upto)
{
    struct store_query query = {.after = *after,
                                .upto = upto,
                                .limit = EVENTS_A_READ,
                                .bytes = READ_BYTES,
                                .rows = LOG_SLICE_ROWS};
    struct batch *batch;
    uint64_t through = 0;
    int result = log_read(presence->config.log, &query, selection, &batch, &through);
    if (result)
        return result == -EAGAIN ? 0 : result;
    for (uint32_t i = 0; i < batch->count; i++)
        take_event(presence, &batch->events[i]);
    batch_unref(batch);
    *after = through > *after ? through : upto;
    return 0;
}

static int replay(struct presence *presence, uint64_t after)
{
    const struct str patterns[] = {STR(PRESENCE_CHANNELS "**"), STR(OCCUPIED_CHANNELS "**")};
    uint64_t upto = log_newest(presence->config.log);
    struct selection *selection = selection_new(patterns, 2, NULL, 0, NULL);
    int result = selection ? 0 : -ENOMEM;
    while (!result && after < upto)
        result = read_on(presence, selection, &after, upto);
    selection_unref(selection);
    return result;
}

static bool is_empty(struct presence *presence, const struct room *room)
{
    struct log_channel channel;
    return !log_channel(presence->config.log, room_name(room), &channel) || !channel.count;
}

/* A crash may come between the deletion of a channel and that of its marks. The marks of a channel
 * that retention has emptied say nothing either: no event is left that was read. */
static void forget_marks_of_empty_channels(struct presence *presence)
{
    struct map_node *node = map_next(&presence->rooms, NULL);
    while (node) {
        struct map_node *next = map_next(&presence->rooms, node);
        struct room *room = container_of(node, struct room, node);
        if (room->marks && is_empty(presence, room))
            marks_forget(presence, room);
        node = next;
    }
}

int restore(struct presence *presence, struct presence_store *store)
{
    uint64_t position = 0;
    int result = presence_store_load(store, take_row, presence, &position);
    uint64_t newest = log_newest(presence->config.log);
    if (!result && position < newest) /* a log that was made anew has ids of its own */
        result = replay(presence, position);
    if (!result)
        forget_marks_of_empty_channels(presence);
    presence->taken_id = position < newest ? position : newest;
    presence->saved = presence->taken_id;
    return result;
}
