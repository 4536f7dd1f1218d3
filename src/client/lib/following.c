#include "client/lib/following.h"

#include <stdio.h>

void following_set_cursor(struct following *following, struct str cursor)
{
    if (!record_is_cursor(cursor))
        return;
    memcpy(following->cursor, cursor.at, cursor.len);
    following->cursor[cursor.len] = '\0';
}

void following_set_told(struct following *following, struct str told)
{
    if (!record_is_cursor(told))
        told = STR("");
    memcpy(following->told, told.at, told.len);
    following->told[told.len] = '\0';
}

void following_tell(const struct following *following, const char *name, struct str object)
{
    following->sink->tell(following->sink->owner, name, object);
}

bool following_pause(struct following *following)
{
    if (following->pending && following->sink->pause(following->sink->owner))
        following->ended = true;
    following->pending = false;
    return following->ended;
}

/* Filters by type, because freshet.v1 has no types. With other mechanisms the server has done so
 * already. */
static bool is_wanted(const struct follow_wish *wish, struct str type)
{
    for (size_t i = 0; i < wish->types.count; i++)
        if (str_eq(str_from(wish->types.at[i]), type))
            return true;
    return !wish->types.count;
}

static void hand(struct following *following, struct str envelope)
{
    if (following->ended)
        return;
    following->pending = true;
    following->ended = following->sink->take(following->sink->owner, envelope);
}

bool following_take(struct following *following, const struct record *record)
{
    following->heard = true;
    switch (record->kind) {
    case RECORD_EVENT:
        if (is_wanted(following->wish, record->type))
            hand(following, record->envelope);
        break;
    case RECORD_GAP:
        following_tell(following, "$gap", record->raw);
        break;
    case RECORD_BYE:
        following->retry_ms = record->retry_ms;
        following_tell(following, "$bye", record->raw);
        break;
    case RECORD_CURSOR:
    case RECORD_ERROR:
    case RECORD_OTHER:
    case RECORD_BROKEN:
        break;
    }
    following_set_cursor(following, record->cursor);
    return following->ended;
}

static bool is_one_channel(const struct follow_wish *wish)
{
    return wish->channels.count == 1 && !server_url_is_pattern(str_from(wish->channels.at[0]));
}

static void add_cursor(const struct following *following, struct buf *out)
{
    server_url_add_query(out, "after", str_from(following->cursor));
    if (following->told[0])
        server_url_add_query(out, "told", str_from(following->told));
}

void following_add_path(const struct following *following, struct buf *out)
{
    const struct follow_wish *wish = following->wish;
    char last[21];
    if (is_one_channel(wish)) {
        server_url_add_channel(out, str_from(wish->channels.at[0]));
    } else {
        buf_add_lit(out, "/events");
        for (size_t i = 0; i < wish->channels.count; i++)
            server_url_add_query(out, "channel", str_from(wish->channels.at[i]));
    }
    for (size_t i = 0; i < wish->types.count; i++)
        server_url_add_query(out, "type", str_from(wish->types.at[i]));
    if (wish->as)
        server_url_add_query(out, "as", str_from(wish->as));
    (void)snprintf(last, sizeof(last), "%llu", (unsigned long long)wish->last);
    if (following->cursor[0])
        add_cursor(following, out);
    else if (wish->after)
        server_url_add_query(out, "after", str_from(wish->after));
    else if (wish->last)
        server_url_add_query(out, "last", str_from(last));
    else
        server_url_add_query(out, "after", STR("now"));
}

void following_write_start(const struct following *following, struct json_writer *writer)
{
    const struct follow_wish *wish = following->wish;
    const char *after = following->cursor[0] ? following->cursor : wish->after;
    if (!after && wish->last)
        json_member_number(writer, "last", wish->last);
    else
        json_member_string(writer, "after", after ? str_from(after) : STR("now"));
    if (wish->as)
        json_member_string(writer, "as", str_from(wish->as));
}

enum follow_end following_end_of(struct following *following, int result,
                                 const struct transfer_answer *answer)
{
    if (result == TRANSFER_STOPPED)
        return FOLLOW_DONE;
    following->advice = answer->advice;
    if (result) {
        buf_add_str(&following->why, str_from(answer->error));
        return FOLLOW_LOST;
    }
    following->reached = true;
    if (answer->status == 200) {
        buf_add_lit(&following->why, "the server ended the stream");
        return FOLLOW_LOST;
    }
    transfer_explain(answer, &following->why);
    if (!transfer_status_is_passing(answer->status))
        return FOLLOW_REFUSED;
    following->retry_ms = answer->retry_after_ms;
    return FOLLOW_LOST;
}

void following_deinit(struct following *following)
{
    buf_free(&following->why);
}
