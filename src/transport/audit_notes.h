/* Notes for the audit log from the threads of workers: as a log line at once, and as an event on
 * `$audit` soon after. */
#pragma once

#include "access/audit.h"
#include "transport/worker_state.h"

struct exchange;
struct request_stream;

/* Adds the method and the path of the request, without its query, while its handler runs. They are
 * borrowed; nobody knows them later. */
void audit_add_request(struct audit_entry *entry, const struct exchange *exchange);

/* Notes an entry; the address is that of the client of `request`, if it is not NULL. Worker's
 * thread. The event is published by mail to the worker itself, since a handler may be in the midst
 * of a publish. */
void audit_note(struct worker *worker, const struct request_stream *request,
                struct audit_entry *entry);

/* Notes the refusal of a message, if it was refused for lack of a right or of a valid credential.
 */
void audit_note_refusal(struct worker *worker, const struct request_stream *request,
                        const struct caller *caller, enum problem problem, struct str why,
                        struct str members);

/* The same for a request. */
void audit_note_exchange(const struct exchange *exchange, enum problem problem, struct str why,
                         struct str members);
