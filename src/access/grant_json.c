#include "access/grant_json.h"

#include "base/json_text.h"
#include "base/mem.h"

#include <stdlib.h>

static const char shape[] =
    "grants are a list of objects with channels, such as news or chat/**, and may, such as read";
static const char few[] = "there are at most 32 grants, each with at most 100 channels";
static const char bad_pattern[] =
    "a grant's channels are channel names and patterns, as in news, chat/* or chat/**";
static const char bad_action[] = "may is a list of read, publish, presence, webhooks and admin";

static const char *read_actions(const json_t *may, actions *ret)
{
    size_t i;
    const json_t *word;
    if (!json_array_size(may))
        return bad_action;
    json_array_foreach(may, i, word)
    {
        if (!json_is_string(word) || !actions_add(ret, json_text(word)))
            return bad_action;
    }
    return NULL;
}

static const char *read_patterns(const json_t *channels, struct str *room)
{
    size_t i;
    const json_t *item;
    if (!json_array_size(channels))
        return bad_pattern;
    json_array_foreach(channels, i, item)
    {
        room[i] = json_text(item);
        if (!json_is_string(item) || !pattern_valid(room[i], NULL))
            return bad_pattern;
    }
    return NULL;
}

static const char *read_grant(const json_t *object, struct str *room, struct grant *ret)
{
    const json_t *channels = json_object_get(object, "channels");
    const json_t *may = json_object_get(object, "may");
    if (json_object_size(object) != 2 || !channels || !may)
        return shape;
    *ret = (struct grant){room, json_array_size(channels), ACTIONS_NONE};
    const char *fault = read_actions(may, &ret->may);
    return fault ? fault : read_patterns(channels, room);
}

/* The number of patterns of all grants; SIZE_MAX if there are too many of anything. */
static size_t count_patterns(const json_t *list)
{
    size_t i, count = 0;
    const json_t *grant;
    if (json_array_size(list) > GRANTS_MAX)
        return SIZE_MAX;
    json_array_foreach(list, i, grant)
    {
        size_t own = json_array_size(json_object_get(grant, "channels"));
        if (own > GRANT_PATTERNS_MAX)
            return SIZE_MAX;
        count += own;
    }
    return count;
}

const char *grant_list_read(const json_t *list, struct grant_list *ret)
{
    size_t i, used = 0, count = count_patterns(list);
    const json_t *grant;
    const char *fault = NULL;
    *ret = (struct grant_list){0};
    if (!json_is_array(list))
        return shape;
    if (count == SIZE_MAX)
        return few;
    ret->patterns = mem_try_alloc((count + 1) * sizeof(struct str));
    if (!ret->patterns)
        return "no memory: try again";
    json_array_foreach(list, i, grant)
    {
        if ((fault = read_grant(grant, ret->patterns + used, &ret->grants[i])))
            return fault;
        used += ret->grants[i].patterns_count;
    }
    ret->count = i;
    return NULL;
}

void grant_list_deinit(struct grant_list *list)
{
    free(list->patterns);
    *list = (struct grant_list){0};
}

static void write_grant(struct json_writer *writer, const struct grant *grant)
{
    json_object_begin(writer);
    json_name(writer, "channels");
    json_array_begin(writer);
    for (size_t i = 0; i < grant->patterns_count; i++)
        json_add_string(writer, grant->patterns[i]);
    json_array_end(writer);
    json_name(writer, "may");
    json_array_begin(writer);
    for (unsigned i = 0; i < ACTION_COUNT; i++)
        if (actions_have(grant->may, (enum action)i))
            json_add_string(writer, str_from(action_word((enum action)i)));
    json_array_end(writer);
    json_object_end(writer);
}

void grants_write(struct json_writer *writer, const struct grant *grants, size_t count)
{
    json_array_begin(writer);
    for (size_t i = 0; i < count; i++)
        write_grant(writer, &grants[i]);
    json_array_end(writer);
}
