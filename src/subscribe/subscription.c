#include "subscribe/subscription.h"

#include <errno.h>

/* ---- asking ---------------------------------------------------------------------------------- */

static bool add(struct str *list, size_t *count, struct str text, const char *too_many,
                struct refusal *ret_refusal)
{
    if (*count == SELECTION_TERMS_MAX)
        return refusal_set(ret_refusal, PROBLEM_BAD_PARAMETER, too_many);
    list[(*count)++] = text;
    return true;
}

bool subscription_add_term(struct subscription *subscription, struct str term,
                           struct refusal *ret_refusal)
{
    return add(subscription->terms, &subscription->terms_count, term,
               "at most 100 channels or patterns", ret_refusal);
}

bool subscription_add_type(struct subscription *subscription, struct str type,
                           struct refusal *ret_refusal)
{
    return add(subscription->types, &subscription->types_count, type, "at most 100 types",
               ret_refusal);
}

/* ---- the checks ------------------------------------------------------------------------------ */

static bool check_terms(const struct subscription *subscription, struct refusal *ret_refusal)
{
    const char *why;
    for (size_t i = 0; i < subscription->terms_count; i++)
        if (!pattern_valid(subscription->terms[i], &why))
            return refusal_set(ret_refusal, PROBLEM_BAD_PATTERN, why);
    return true;
}

static bool check_types(const struct subscription *subscription, struct refusal *ret_refusal)
{
    const char *why;
    for (size_t i = 0; i < subscription->types_count; i++)
        if (!type_valid(subscription->types[i], &why))
            return refusal_set(ret_refusal, PROBLEM_BAD_TYPE, why);
    return true;
}

bool subscription_is_well_formed(const struct subscription *subscription,
                                 struct refusal *ret_refusal)
{
    return check_terms(subscription, ret_refusal) && check_types(subscription, ret_refusal);
}

static bool may_read(const struct subscriber *subscriber, const struct str *terms, size_t count,
                     struct refusal *ret_refusal)
{
    for (size_t i = 0; i < count; i++)
        if (!access_check(&subscriber->access, ACTION_READ, terms[i], ret_refusal))
            return false;
    return true;
}

bool subscription_check(const struct subscription *subscription,
                        const struct subscriber *subscriber, struct refusal *ret_refusal)
{
    return subscription_is_well_formed(subscription, ret_refusal) &&
           presence_as_check(subscription->as, caller_subject(subscriber->access.caller),
                             ret_refusal) &&
           may_read(subscriber, subscription->terms, subscription->terms_count, ret_refusal);
}

bool subscription_check_selection(const struct selection *selection,
                                  const struct subscriber *subscriber, struct refusal *ret_refusal)
{
    if (subscriber->finds_full)
        return refusal_full(ret_refusal);
    return may_read(subscriber, selection->names, selection->names_count, ret_refusal) &&
           may_read(subscriber, selection->patterns, selection->patterns_count, ret_refusal);
}

/* ---- subscribing ----------------------------------------------------------------------------- */

struct selection *subscription_select(const struct subscription *subscription,
                                      const struct subscriber *subscriber,
                                      struct refusal *ret_refusal)
{
    if (!subscription_check(subscription, subscriber, ret_refusal))
        return NULL;
    if (subscriber->finds_full) {
        refusal_full(ret_refusal);
        return NULL;
    }
    struct selection *selection =
        selection_new(subscription->terms, subscription->terms_count, subscription->types,
                      subscription->types_count, NULL);
    if (!selection)
        subscription_refuse(-ENOMEM, ret_refusal);
    return selection;
}

void subscription_refuse(int result, struct refusal *ret_refusal)
{
    if (result == -ENOSPC)
        refusal_set(ret_refusal, PROBLEM_TOO_MANY,
                    "the server's subscribers use too many patterns (limits.branches_max): name "
                    "channels, or try again later");
    else
        refusal_set(ret_refusal, PROBLEM_UNAVAILABLE, "no memory: try again");
}
