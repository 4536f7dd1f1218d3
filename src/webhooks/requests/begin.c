#include "webhooks/requests/begin.h"

#include <errno.h>
#include <stdlib.h>

const char begin_beyond[] = "after lies beyond the newest event of this log";

/* Begins at a position that the client does not claim, such as a time or the beginning: events that
 * were trimmed before are not a gap. */
void begin_at(struct endpoint *endpoint, uint64_t cursor)
{
    endpoint->row.cursor = cursor;
    endpoint->row.told =
        log_trimmed_from(endpoint->courier->config.log, endpoint->made.selection, cursor);
}

/* The id that a time stands for is the store's to find. */
struct search {
    struct question question;
    int64_t time_us;
    uint64_t id;
    int error;
    struct courier *courier;
    struct endpoint *endpoint;
    struct courier_request *request;
    enum spec_verify verify;
    void (*found)(struct courier_request *request, struct endpoint *endpoint,
                  enum spec_verify verify, uint64_t id, int error);
};

static bool search_slice(struct question *question, struct log *log)
{
    struct search *search = container_of(question, struct search, question);
    search->error = log_find_time(log, search->time_us, &search->id);
    return true;
}

static void search_answered(struct question *question)
{
    struct search *search = container_of(question, struct search, question);
    search->found(search->request, search->endpoint, search->verify, search->id,
                  search->courier->stopping ? -EAGAIN : search->error);
    question_end(question);
    free(search);
}

static const struct question_ops search_ops = {
    .slice = search_slice, .answered = search_answered, .is_small = true};

void begin_search(struct courier_request *request, struct endpoint *endpoint,
                  const struct spec *spec,
                  void (*found)(struct courier_request *request, struct endpoint *endpoint,
                                enum spec_verify verify, uint64_t id, int error))
{
    struct courier *courier = endpoint->courier;
    struct search *search = mem_alloc(sizeof(*search));
    *search = (struct search){
        .time_us = spec->after_time_us,
        .courier = courier,
        .endpoint = endpoint,
        .request = request,
        .verify = spec->verify,
        .found = found,
    };
    question_init(&search->question, &courier->asker, &search_ops);
    question_ask(&search->question);
}
