#include "publish/refusal.h"

bool refusal_no_memory(struct refusal *ret_refusal)
{
    return refusal_set(ret_refusal, PROBLEM_UNAVAILABLE,
                       "no memory: nothing was published; try again");
}

void refusal_add_members(struct buf *out, const struct refusal *refusal)
{
    if (refusal->problem == PROBLEM_BAD_JSON) {
        buf_add_lit(out, ",\"at\":");
        buf_add_u64(out, refusal->at);
    } else if (refusal->problem == PROBLEM_NOT_NEWEST) {
        buf_add_lit(out, ",\"newest\":\"");
        buf_add_id(out, refusal->newest);
        buf_add_char(out, '"');
    }
}
