/* The subscriptions that count for presence: those to channels by their names. */
#pragma once

#include "transport/worker_state.h"

/* The owner subscribes to the selection as the caller (NULL: anybody), who may have given itself a
 * name (`as`). Until desk_leave(), it is there; for an owner that is there already, nothing
 * changes. */
static inline void attend(struct worker *worker, const void *owner,
                          const struct selection *selection, const struct caller *caller,
                          struct str as)
{
    desk_join(&worker->desk, owner, selection->names, selection->names_count,
              presence_who(caller_subject(caller), as), false);
}

/* The same for a poll, whose subscriber is there between polls as well. */
static inline void attend_poll(struct worker *worker, const void *owner,
                               const struct selection *selection, const struct caller *caller,
                               struct str as)
{
    desk_join(&worker->desk, owner, selection->names, selection->names_count,
              presence_who(caller_subject(caller), as), true);
}
