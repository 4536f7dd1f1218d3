/* A subscription as a consumer asks for it: channels and patterns, types, and where to begin.
 *
 * Every way in (pages, polls, streams, both WebSockets, topics, webhooks, WebSub) reads what it was
 * sent into a struct subscription and makes the selection of it by subscription_select(). So a rule
 * about what may be subscribed to belongs into subscription_check(), and no way in can forget it.
 *
 *     a query    ┐
 *     an `op`    ├─▶ subscription ─▶ check ─▶ selection ─┬─▶ start.h: where it begins
 *     a webhook  ┘                     │                 └─▶ gap.h: what is gone behind it
 *                                      ▼
 *                                   refusal
 */
#pragma once

#include "access/decide.h"
#include "base/refusal.h"
#include "log/selection.h"
#include "presence/names.h"
#include "subscribe/position.h"

/* The consumer who asks. */
struct subscriber {
    struct access access; /* the caller, and the rules for it */
    bool finds_full;      /* the server has no memory for more subscriptions */
};

/* The strings are borrowed until the selection was made. */
struct subscription {
    struct str terms[SELECTION_TERMS_MAX];
    size_t terms_count;
    struct str types[SELECTION_TERMS_MAX]; /* none: all */
    size_t types_count;
    struct str as; /* the name that the subscriber gives itself for presence; `at` NULL: none */
    struct position from;
};

/* Add a channel or pattern, or a type. Return false if there are too many. */
bool subscription_add_term(struct subscription *subscription, struct str term,
                           struct refusal *ret_refusal);
bool subscription_add_type(struct subscription *subscription, struct str type,
                           struct refusal *ret_refusal);

/* Checks the form of all terms and types, whoever asks. */
bool subscription_is_well_formed(const struct subscription *subscription,
                                 struct refusal *ret_refusal);

/* Checks whether the subscriber may read this: the single place for rights to read. */
bool subscription_check(const struct subscription *subscription,
                        const struct subscriber *subscriber, struct refusal *ret_refusal);

/* The same for a selection that was made before: by another request, or under other rights. */
bool subscription_check_selection(const struct selection *selection,
                                  const struct subscriber *subscriber, struct refusal *ret_refusal);

/* The selection of a subscription that passes the check; NULL if it does not, or if there is no
 * memory. */
struct selection *subscription_select(const struct subscription *subscription,
                                      const struct subscriber *subscriber,
                                      struct refusal *ret_refusal);

/* Sets the refusal for a failed hub_subscribe(). */
void subscription_refuse(int result, struct refusal *ret_refusal);
