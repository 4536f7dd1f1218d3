/* The subscriptions that count for presence: those to channels by their names. */
#pragma once

#include "net/peer.h"
#include "transport/request_stream.h"
#include "transport/worker_state.h"

/* The number of the client's address, for the shares of presence. Asks the kernel. */
static inline uint64_t attending_address(const struct request_stream *request)
{
    union client_address client;
    request_stream_client(request, &client);
    return peer_number(&client.any);
}

static inline void attend_as(struct worker *worker, const void *owner,
                             const struct request_stream *request,
                             const struct selection *selection, struct presence_who who, bool polls)
{
    if (!worker->desk.is_on || !selection->names_count)
        return;
    const struct presence_visitor visitor = {
        .who = who, .address = attending_address(request), .polls = polls};
    desk_join(&worker->desk, owner, selection->names, selection->names_count, &visitor);
}

/* The owner, which the request has made, subscribes to the selection as the caller (NULL: anybody),
 * who may have given itself a name (`as`). Until desk_leave(), it is there; for an owner that is
 * there already, nothing changes. */
static inline void attend(struct worker *worker, const void *owner,
                          const struct request_stream *request, const struct selection *selection,
                          const struct caller *caller, struct str as)
{
    attend_as(worker, owner, request, selection, presence_who(caller_subject(caller), as), false);
}

/* The same for a poll, whose subscriber is there between polls as well. */
static inline void attend_poll(struct worker *worker, const void *owner,
                               const struct request_stream *request,
                               const struct selection *selection, const struct caller *caller,
                               struct str as)
{
    attend_as(worker, owner, request, selection, presence_who(caller_subject(caller), as), true);
}
