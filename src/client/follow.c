#include "client/follow.h"

#include <stdio.h>

void follow_set_cursor(struct follow *follow, struct str cursor)
{
    if (!record_is_cursor(cursor))
        return;
    memcpy(follow->cursor, cursor.at, cursor.len);
    follow->cursor[cursor.len] = '\0';
}

void follow_set_told(struct follow *follow, struct str told)
{
    if (!record_is_cursor(told))
        told = STR("");
    memcpy(follow->told, told.at, told.len);
    follow->told[told.len] = '\0';
}

void follow_tell(const char *name, struct str object)
{
    struct buf line = {0};
    record_add_control(&line, name, object);
    fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&line)));
    buf_free(&line);
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

bool follow_take(struct follow *follow, const struct record *record)
{
    follow->heard = true;
    switch (record->kind) {
    case RECORD_EVENT:
        if (is_wanted(follow->wish, record->type))
            printer_add(follow->printer, record->envelope);
        break;
    case RECORD_GAP:
        follow_tell("$gap", record->raw);
        break;
    case RECORD_BYE:
        follow->retry_ms = record->retry_ms;
        follow_tell("$bye", record->raw);
        break;
    case RECORD_CURSOR:
    case RECORD_ERROR:
    case RECORD_OTHER:
    case RECORD_BROKEN:
        break;
    }
    follow_set_cursor(follow, record->cursor);
    return follow->printer->ended;
}

static bool is_one_channel(const struct follow_wish *wish)
{
    return wish->channels.count == 1 && !server_url_is_pattern(str_from(wish->channels.at[0]));
}

static void add_cursor(const struct follow *follow, struct buf *out)
{
    server_url_add_query(out, "after", str_from(follow->cursor));
    if (follow->told[0])
        server_url_add_query(out, "told", str_from(follow->told));
}

void follow_add_path(const struct follow *follow, struct buf *out)
{
    const struct follow_wish *wish = follow->wish;
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
    (void)snprintf(last, sizeof(last), "%llu", (unsigned long long)wish->last);
    if (follow->cursor[0])
        add_cursor(follow, out);
    else if (wish->after)
        server_url_add_query(out, "after", str_from(wish->after));
    else if (wish->last)
        server_url_add_query(out, "last", str_from(last));
    else
        server_url_add_query(out, "after", STR("now"));
}

void follow_write_start(const struct follow *follow, struct json_writer *writer)
{
    const struct follow_wish *wish = follow->wish;
    const char *after = follow->cursor[0] ? follow->cursor : wish->after;
    if (!after && wish->last)
        json_member_number(writer, "last", wish->last);
    else
        json_member_string(writer, "after", after ? str_from(after) : STR("now"));
}

enum follow_end follow_end_of(struct follow *follow, int result,
                              const struct transfer_answer *answer)
{
    if (result == TRANSFER_STOPPED)
        return FOLLOW_DONE;
    if (result) {
        buf_add_str(&follow->why, str_from(answer->error));
        return FOLLOW_LOST;
    }
    follow->reached = true;
    if (answer->status == 200) {
        buf_add_lit(&follow->why, "the server ended the stream");
        return FOLLOW_LOST;
    }
    transfer_explain(answer, &follow->why);
    if (!transfer_status_is_passing(answer->status))
        return FOLLOW_REFUSED;
    follow->retry_ms = answer->retry_after_ms;
    return FOLLOW_LOST;
}

void follow_deinit(struct follow *follow)
{
    buf_free(&follow->why);
}
