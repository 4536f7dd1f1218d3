#include "webhooks/requests/begin.h"

#include <stdlib.h>

struct beginning {
    struct start_search *search;
    struct courier_request *request;
    struct endpoint *endpoint;
    enum spec_verify verify;
    begin_done *done;
};

void begin_at(struct endpoint *endpoint, const struct start *start)
{
    endpoint->row.cursor = start->cursor;
    endpoint->row.told = start->told;
}

static void found(void *owner, const struct start_found *found)
{
    struct beginning beginning = *(struct beginning *)owner;
    bool stopping = beginning.endpoint->courier->stopping;
    bool beyond = found->start.gap != NULL;
    free(owner);
    if (found->error || stopping)
        request_refuse(beginning.request, COURIER_E_NOW, "the store cannot be read: try again");
    else if (beyond)
        request_refuse(beginning.request, COURIER_E_CURSOR,
                       "after lies beyond the newest event of this log");
    beginning.done(beginning.request, beginning.endpoint, beginning.verify,
                   found->error || stopping || beyond ? NULL : &found->start);
}

void begin_find(struct courier_request *request, struct endpoint *endpoint, const struct spec *spec,
                begin_done *done)
{
    struct beginning *beginning = mem_alloc(sizeof(*beginning));
    *beginning = (struct beginning){
        .request = request, .endpoint = endpoint, .verify = spec->verify, .done = done};
    start_find(&beginning->search, &endpoint->courier->hub, endpoint->made.selection, &spec->from,
               &(struct start_owner){.owner = beginning, .found = found});
}
