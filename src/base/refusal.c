#include "base/refusal.h"

bool refusal_no_memory(struct refusal *ret_refusal)
{
    return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE,
                       "no memory: nothing was published; try again");
}

bool refusal_full(struct refusal *ret_refusal)
{
    return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, REFUSAL_FULL);
}

void refusal_write(struct json_writer *writer, const struct refusal *refusal)
{
    if (refusal->problem == PROBLEM_BAD_JSON)
        json_member_number(writer, "at", refusal->at);
    else if (refusal->problem == PROBLEM_NOT_NEWEST && !refusal->hides_newest)
        json_member_id(writer, "newest", refusal->newest);
    else if (refusal->problem == PROBLEM_TOO_LARGE && refusal->most)
        json_member_number(writer, "max", refusal->most);
    if (refusal->retry_ms)
        json_member_number(writer, "retry_ms", refusal->retry_ms);
    if (!refusal->may)
        return;
    json_member_string(writer, "may", str_from(refusal->may));
    if (refusal->term.len) /* else it was missing on all */
        json_member_string(writer, "channel", refusal->term);
}
