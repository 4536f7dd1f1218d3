#include "presence/names.h"

#include "base/utf8.h"

static bool has_control(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.at[i] < 0x20 || name.at[i] == 0x7f)
            return true;
    return false;
}

bool presence_as_check(struct str as, struct str subject, struct refusal *ret_refusal)
{
    if (!as.at)
        return true;
    if (!as.len || as.len > PRESENCE_NAME_MAX || !utf8_valid(as) || has_control(as))
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                           "as is a name of 1 to 255 bytes of UTF-8, without control characters");
    if (subject.len && !str_eq(as, subject))
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER,
                           "the credential names its subject, so as may only repeat that: leave it "
                           "out");
    return true;
}

int presence_who_cmp(struct presence_who a, struct presence_who b)
{
    int order = str_cmp(a.name, b.name);
    return order ? order : (int)a.verified - (int)b.verified;
}
