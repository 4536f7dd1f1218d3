#include "transport/presence_notes.h"

/* The worker may end before the log has decided: then the bundle comes back when the worker is
 * freed. */
static void close_note(struct presence_bundle *bundle)
{
    if (!--bundle->open)
        presence_bundle_return(bundle);
}

static void on_published(struct publish *publish, struct batch *batch)
{
    struct presence_note *note = container_of(publish, struct presence_note, publish);
    struct presence_bundle *bundle = note->bundle;
    const struct event *event = &batch->events[publish->first];
    note->is_lost = publish->verdict != 0;
    if (note->is_lost)
        bundle->lost++;
    else if (event->id > bundle->last_id)
        bundle->last_id = event->id;
    close_note(bundle);
}

static void submit(struct worker *worker, struct presence_note *note)
{
    const struct publisher server = {
        .is_server = true, .takes_share = true, .access = ACCESS_OF_SERVER};
    const struct proposal proposal = {.channel = note->channel,
                                      .type = str_from(note->type),
                                      .data = note->data,
                                      .kind = EVENT_JSON,
                                      .accepted_ns = worker->loop.now_ns,
                                      .is_checked = true};
    struct refusal refusal;
    note->publish.done = on_published;
    if (!worker->stopping &&
        submit_proposal(&worker->submitter, &server, &proposal, &note->publish, &refusal))
        return;
    note->is_lost = true;
    note->bundle->lost++;
    close_note(note->bundle);
}

/* The bundle itself is open until all were submitted, since `done` may come at once. */
static void open_bundle(struct mail *mail, void *owner)
{
    struct presence_bundle *bundle = container_of(mail, struct presence_bundle, mail);
    bundle->open = 1;
    for (struct presence_note *note = bundle->first; note; note = note->next) {
        bundle->open++;
        submit(owner, note);
    }
    close_note(bundle);
}

void presence_notes_publish(void *worker, struct presence_bundle *bundle)
{
    struct worker *publisher = worker;
    bundle->mail = (struct mail){.open = open_bundle};
    mailbox_post(&publisher->loop.mailbox, &bundle->mail);
}
