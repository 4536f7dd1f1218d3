#include "transport/audit_notes.h"

#include "base/say.h"
#include "transport/exchange.h"

#include <stdlib.h>

enum { PATH_MAX_NOTED = 512 }; /* bytes of a path; the rest is left out */

/* An event of the audit on its way to the log. */
struct note {
    struct mail mail;
    struct publish publish;
    enum audit_kind kind;
    struct buf data;
};

static void note_free(struct note *note)
{
    buf_free(&note->data);
    free(note);
}

static void on_published(struct publish *publish, struct batch *batch)
{
    (void)batch;
    if (publish->verdict)
        say(SAY_WARN, "audit_event_lost", "verdict=%d", (int)publish->verdict);
    note_free(container_of(publish, struct note, publish));
}

/* Publishes the event. The last mail of a worker is opened when the log is closed already: then the
 * log line has to do. */
static void publish_note(struct mail *mail, void *owner)
{
    struct worker *worker = owner;
    struct note *note = container_of(mail, struct note, mail);
    const struct publisher server = {.is_server = true, .access = ACCESS_OF_SERVER};
    const struct proposal proposal = {.channel = AUDIT_CHANNEL,
                                      .type = str_from(audit_kind_word(note->kind)),
                                      .data = buf_str(&note->data),
                                      .kind = EVENT_JSON,
                                      .is_checked = true};
    struct refusal refusal;
    note->publish.done = on_published;
    if (!worker->stopping &&
        submit_proposal(&worker->submitter, &server, &proposal, &note->publish, &refusal))
        return;
    note_free(note);
}

void audit_note(struct worker *worker, const struct request_stream *request,
                struct audit_entry *entry)
{
    char room[INET6_ADDRSTRLEN];
    struct audit *audit = worker->config.audit;
    if (!audit || !audit_admit(audit, entry, clock_now_ns(worker->config.clock) / 1000000))
        return;
    if (request)
        entry->address = request_stream_address(request, room);
    audit_say(entry);
    struct note *note = mem_try_alloc(sizeof(*note));
    if (!note)
        return;
    *note = (struct note){.kind = entry->kind, .mail = {.open = publish_note}};
    audit_write(&note->data, entry);
    if (buf_failed(&note->data))
        note_free(note);
    else
        mailbox_post(&worker->loop.mailbox, &note->mail);
}

void audit_add_request(struct audit_entry *entry, const struct exchange *exchange)
{
    const struct http_head *head = exchange_head(exchange);
    if (!head)
        return;
    entry->method = head->method_raw;
    entry->path = head->path;
    if (entry->path.len > PATH_MAX_NOTED)
        entry->path.len = PATH_MAX_NOTED;
}

static bool is_noted(enum problem problem)
{
    return problem == PROBLEM_UNAUTHORIZED || problem == PROBLEM_BAD_CREDENTIAL ||
           problem == PROBLEM_FORBIDDEN;
}

/* Notes who has hit a limit: for people who want to know which client it is. */
static void count_refused(struct worker *worker, const struct request_stream *request,
                          const struct caller *caller, enum problem problem)
{
    char room[INET6_ADDRSTRLEN];
    struct str name = caller_subject(caller);
    bool is_subject = name.len > 0;
    if (problem != PROBLEM_TOO_MANY && problem != PROBLEM_TOO_LARGE &&
        problem != PROBLEM_PRESENCE_SHARE)
        return;
    if (!is_subject && request)
        name = request_stream_address(request, room);
    if (name.len)
        top_add(&worker->refused, refused_kind(problem, is_subject), name, 1);
}

void audit_note_exchange(const struct exchange *exchange, enum problem problem, struct str why,
                         struct str members)
{
    struct audit_entry entry = {.kind = AUDIT_REFUSED,
                                .caller = exchange->caller,
                                .problem = problem_slug(problem),
                                .why = why,
                                .members = members};
    count_refused(exchange->worker, exchange->request, exchange->caller, problem);
    if (!is_noted(problem))
        return;
    audit_add_request(&entry, exchange);
    audit_note(exchange->worker, exchange->request, &entry);
}

void audit_note_refusal(struct worker *worker, const struct request_stream *request,
                        const struct caller *caller, enum problem problem, struct str why,
                        struct str members)
{
    count_refused(worker, request, caller, problem);
    if (!is_noted(problem))
        return;
    struct audit_entry entry = {.kind = AUDIT_REFUSED,
                                .caller = caller,
                                .problem = problem_slug(problem),
                                .why = why,
                                .members = members};
    audit_note(worker, request, &entry);
}
