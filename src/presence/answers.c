#include "presence/answers.h"

#include "presence/marks.h"
#include "presence/members.h"
#include "presence/places.h"
#include "presence/rooms.h"
#include "presence/saving.h"
#include "presence/telling.h"

#include <stdlib.h>

/* The lists of a turn: those who join or change something wait for them. A question counts for
 * QUESTION_BYTES at least, so that a turn takes about a thousand of them at most. */
enum { TURN_BYTES = 1 << 20, QUESTION_BYTES = 1 << 10 };

/* ---- answering ------------------------------------------------------------------------------- */

/* On the thread of the asker, who frees the request. */
static void open_answer(struct mail *mail, void *owner)
{
    struct presence_request *request = container_of(mail, struct presence_request, mail);
    struct presence *host = request->host;
    size_t counted = request->counted;
    request->answered(request, owner);
    questions_end(&host->questions, counted);
}

static void reply(struct presence_request *request)
{
    if (!request->fault && (buf_failed(&request->answer) || buf_failed(&request->last_name) ||
                            buf_failed(&request->last_mark_name))) {
        request->fault = PRESENCE_E_STORE;
        request->detail = "no memory: try again";
    }
    request->mail = (struct mail){.open = open_answer};
    mailbox_post(request->home, &request->mail);
}

static void refuse(struct presence_request *request, enum presence_fault fault, const char *detail)
{
    request->fault = fault;
    request->detail = detail;
    reply(request);
}

/* ---- the list -------------------------------------------------------------------------------- */

static void write_member(struct json_writer *writer, const struct room *room,
                         struct presence_who who, const struct person *member)
{
    uint64_t read = mark_of(room, who);
    who_write(writer, who);
    json_member_number(writer, "connections", member ? member->connections : 0);
    if (member)
        json_member_time(writer, "since", (int64_t)member->since_ms * 1000);
    if (member && member_state(member).len)
        json_member_raw(writer, "state", member_state(member));
    if (read)
        json_member_id(writer, "read", read);
}

static void note_last(struct buf *out, bool *verified, const struct person *last)
{
    if (!last)
        return;
    buf_add_str(out, person_who(last).name);
    *verified = last->is_verified;
}

/* Whether the list that began there may have one more. */
static bool has_space(const struct presence_request *request, size_t began)
{
    return request->answer.len - began < PRESENCE_LIST_BYTES;
}

static void write_members(struct json_writer *writer, const struct room *room,
                          struct presence_request *request)
{
    size_t began = request->answer.len;
    struct roster none = {.leaves = NULL};
    struct roster_place place = roster_after(room ? &room->members : &none, request->after);
    struct person *person, *last = NULL;
    json_name(writer, "members");
    json_array_begin(writer);
    for (uint32_t i = 0;
         i < request->limit && has_space(request, began) && (person = roster_next(&place)); i++) {
        json_object_begin(writer);
        write_member(writer, room, person_who(person), person);
        json_object_end(writer);
        last = person;
    }
    json_array_end(writer);
    request->more = request->limit && roster_next(&place);
    json_member_bool(writer, "more", request->more);
    note_last(&request->last_name, &request->last_verified, last);
}

static void write_marks(struct json_writer *writer, const struct room *room,
                        struct presence_request *request)
{
    struct roster none = {.leaves = NULL};
    struct roster_place place =
        roster_after(room && room->marks ? &room->marks->roster : &none, request->after_mark);
    struct person *mark, *last = NULL;
    size_t began = request->answer.len;
    uint32_t limit = request->limit ? request->limit : PRESENCE_LIMIT_DEFAULT;
    json_name(writer, "marks");
    json_array_begin(writer);
    for (uint32_t i = 0; i < limit && has_space(request, began) && (mark = roster_next(&place));
         i++) {
        json_object_begin(writer);
        who_write(writer, person_who(mark));
        json_member_id(writer, "read", mark->read);
        json_object_end(writer);
        last = mark;
    }
    json_array_end(writer);
    request->more_marks = roster_next(&place) != NULL;
    json_member_bool(writer, "more_marks", request->more_marks);
    note_last(&request->last_mark_name, &request->last_mark_verified, last);
}

/* Events on their way to the log come behind the cursor, and say again what the list has already:
 * that does no harm to those who keep a list. */
static size_t get(struct presence *presence, struct presence_request *request)
{
    const struct room *room = rooms_find(presence, request->channel);
    struct json_writer writer = json_members_writer(&request->answer);
    json_member_string(&writer, "channel", request->channel);
    json_member_number(&writer, "count", room ? room->members.count : 0);
    json_member_number(&writer, "anonymous", room ? room->anonymous : 0);
    write_members(&writer, room, request);
    if (request->wants_marks)
        write_marks(&writer, room, request);
    json_member_id(&writer, "cursor", log_newest(presence->config.log));
    questions_count(&presence->questions, request);
    size_t bytes = request->counted;
    reply(request);
    return bytes;
}

/* ---- changes --------------------------------------------------------------------------------- */

static struct person *member_of(const struct presence *presence,
                                const struct presence_request *request)
{
    const struct room *room = rooms_find(presence, request->channel);
    return room ? roster_find(&room->members, request->me) : NULL;
}

static void answer_member(struct presence *presence, struct presence_request *request)
{
    const struct room *room = rooms_find(presence, request->channel);
    struct json_writer writer = json_members_writer(&request->answer);
    write_member(&writer, room, request->me, member_of(presence, request));
    reply(request);
}

static bool set_state(struct presence *presence, struct presence_request *request,
                      struct person *member)
{
    struct str state = str_eq(request->state, STR("null")) ? STR("") : request->state;
    if (str_eq(member_state(member), state))
        return true;
    if (!member_say(presence, member, state))
        return false;
    tell_person(presence, request->channel, "updated", request->me, state, 0);
    save_member(presence, member, true);
    return true;
}

/* The mark is on disk. */
static void mark_saved(struct presence *presence, struct mark_request *mark, int result)
{
    struct presence_request *request = mark->request;
    struct room *room = mark->room;
    room->saving--;
    free(mark);
    if (result == PRESENCE_STORE_E_FATE_UNKNOWN)
        refuse(request, PRESENCE_E_FATE,
               "the disk failed: after a crash the read mark may be there, or not; try again");
    else if (result || !mark_put(presence, room, request->me, request->read, request->address))
        refuse(request, PRESENCE_E_STORE, "the read mark could not be saved: try again");
    else
        answer_member(presence, request);
    room_look(presence, room);
}

static bool is_beyond(const struct presence *presence, const struct presence_request *request)
{
    struct log_channel channel;
    return !log_channel(presence->config.log, request->channel, &channel) ||
           request->read > channel.last;
}

static void put_mark(struct presence *presence, struct presence_request *request)
{
    struct room *room = rooms_get(presence, request->channel);
    struct mark_request *mark = room ? mem_try_alloc(sizeof(*mark)) : NULL;
    if (!mark) {
        refuse(request, PRESENCE_E_STORE, "no memory: try again");
        return;
    }
    *mark = (struct mark_request){.done = mark_saved, .request = request, .room = room};
    room->saving++;
    save_mark(presence, mark);
}

/* Words for a refusal for want of a place; for members and for marks. */
static const char *const no_place[][2] = {
    [PLACE_FULL] = {"member limit reached (limits.presence_members_max, "
                    "limits.presence_channel_members_max): this subscriber is counted as "
                    "anonymous; raise the limit",
                    "read mark limit reached (limits.presence_marks_max): delete channels or raise "
                    "the limit"},
    [PLACE_ADDRESS] = {"this address has its share of limits.presence_members_max "
                       "(limits.presence_address_percent), so this subscriber is counted as "
                       "anonymous: leave other channels and subscribe again",
                       "this address has its share of limits.presence_marks_max "
                       "(limits.presence_address_percent): move marks that are there"},
    [PLACE_SUBJECT] = {"this subject has its share of limits.presence_members_max "
                       "(limits.presence_subject_percent), so this subscriber is counted as "
                       "anonymous: leave other channels and subscribe again",
                       "this subject has its share of limits.presence_marks_max "
                       "(limits.presence_subject_percent): move marks that are there"},
};

static void refuse_place(struct presence_request *request, enum place place, bool is_mark)
{
    refuse(request, place == PLACE_FULL ? PRESENCE_E_FULL : PRESENCE_E_SHARE,
           no_place[place][is_mark]);
}

/* Everything that a mark can be refused for is checked before the state is changed. */
static bool check_mark(struct presence *presence, struct presence_request *request)
{
    const struct room *room = rooms_find(presence, request->channel);
    if (!request->read)
        return true;
    if (is_beyond(presence, request)) {
        refuse(request, PRESENCE_E_BEYOND,
               "read is the id of an event of this channel: at most the newest");
        return false;
    }
    enum place place = marks_place(presence, room, request->me, request->address);
    if (place == PLACE_FREE)
        return true;
    presence_count(&presence->stats.marks_refused, 1);
    place_count(presence, place);
    refuse_place(request, place, true);
    return false;
}

/* A subscriber that is over a limit or share is no member, and is told which. */
static void refuse_state(struct presence *presence, struct presence_request *request)
{
    const struct room *room = rooms_find(presence, request->channel);
    enum place place = place_of_member(presence, room, request->me, request->address);
    if (place == PLACE_FREE)
        refuse(request, PRESENCE_E_AWAY,
               "only a member has a state: subscribe to the channel by its name first");
    else
        refuse_place(request, place, false);
}

static void put(struct presence *presence, struct presence_request *request)
{
    struct person *member = member_of(presence, request);
    if (request->has_state && !member) {
        refuse_state(presence, request);
        return;
    }
    if (!check_mark(presence, request))
        return;
    if (request->has_state && !set_state(presence, request, member))
        refuse(request, PRESENCE_E_STORE, "no memory: try again");
    else if (request->read > mark_of(rooms_find(presence, request->channel), request->me))
        put_mark(presence, request);
    else
        answer_member(presence, request);
}

/* Refuses what cannot be answered now. */
static bool check(const struct presence *presence, struct presence_request *request)
{
    if (presence->paused || presence->stopping)
        refuse(request, PRESENCE_E_STORE, "the server is stopping: try again");
    else if (!presence_settings_find(presence->settings, request->channel))
        refuse(request, PRESENCE_E_OFF, PRESENCE_OFF_DETAIL);
    else
        return true;
    return false;
}

void answers_open(struct mail *mail, void *owner)
{
    struct presence *presence = owner;
    struct presence_request *request = container_of(mail, struct presence_request, mail);
    if (!check(presence, request))
        return;
    if (request->op != PRESENCE_GET)
        put(presence, request);
    else if (!questions_add(&presence->questions, request,
                            shares_address(&presence->shares, request->address),
                            presence->config.limits.address_percent))
        refuse(request, PRESENCE_E_STORE, "too many questions about presence wait: try again");
}

/* A server that stops refuses all that wait, since workers may open no answers any more. */
bool answers_are_due(struct presence *presence)
{
    bool ends = presence->paused || presence->stopping;
    return ends ? presence->questions.count : questions_are_due(&presence->questions);
}

static bool is_wanted(struct presence_request *request)
{
    if (!request->gone || !atomic_load_explicit(request->gone, memory_order_relaxed))
        return true;
    refuse(request, PRESENCE_E_STORE, "the client has gone");
    return false;
}

void answers_flush(struct presence *presence)
{
    size_t made = 0;
    while (made < TURN_BYTES && answers_are_due(presence)) {
        struct presence_request *request = questions_take(&presence->questions);
        size_t bytes = is_wanted(request) && check(presence, request) ? get(presence, request) : 0;
        made += bytes > QUESTION_BYTES ? bytes : QUESTION_BYTES;
    }
}
