#include "access/reach.h"

static const struct str any = {"*", 1};

static void add(struct reach *reach, struct str segment)
{
    if (reach->len)
        reach->text[reach->len++] = '/';
    memcpy(reach->text + reach->len, segment.at, segment.len);
    reach->len += segment.len;
    reach->segments++;
}

/* Adds a segment of the term, in whose place the prefix has `ruled`, or nothing: `at == NULL`.
 * False if no segment is both. */
static bool add_both(struct reach *reach, struct str segment, struct str ruled)
{
    bool free_segment = segment.at[0] == '*';
    if (!free_segment && ruled.at && !str_eq(segment, ruled))
        return false;
    add(reach, !free_segment ? segment : ruled.at ? ruled : any);
    return true;
}

static struct str cut(struct str *rest)
{
    return rest->at ? str_cut(rest, '/') : STR_NONE;
}

bool reach_begin(struct reach *reach, struct str term, struct str prefix)
{
    struct str rest = term, ruled = prefix.len ? prefix : STR_NONE;
    reach->len = 0;
    reach->segments = 0;
    reach->open = false;
    while (rest.at) {
        struct str segment = str_cut(&rest, '/');
        reach->open = segment.len == 2 && segment.at[0] == '*' && segment.at[1] == '*';
        if (!add_both(reach, segment, cut(&ruled)))
            return false;
    }
    while (reach->open && ruled.at)
        add(reach, cut(&ruled));
    return !ruled.at;
}

bool reach_next(struct reach *reach)
{
    if (!reach->open || reach->segments >= REACH_SEGMENTS_MAX)
        return false;
    add(reach, any);
    return true;
}
