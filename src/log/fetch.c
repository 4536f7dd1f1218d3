#include "log/fetch.h"

#include "log/store/page.h"

static bool is_full(const struct log_fetch *fetch)
{
    const struct batch *batch = fetch->batch;
    return batch && batch->count &&
           (batch->count >= fetch->query.limit || fetch->bytes >= fetch->query.bytes);
}

static void fail(struct log_fetch *fetch, int error)
{
    fetch->batch = batch_unref(fetch->batch);
    fetch->error = error;
}

/* Copies what a later slice has found behind what there is. */
static int add_all(struct log_fetch *fetch, const struct batch *batch)
{
    struct page page = {.query = &fetch->query, .batch = fetch->batch};
    int result = 0;
    for (uint32_t i = 0; !result && i < batch->count; i++)
        if (batch->events[i].state == EVENT_APPENDED)
            result = page_add(&page, &batch->events[i]);
    return result;
}

/* Takes the batch over. */
static void take(struct log_fetch *fetch, struct batch *batch)
{
    int result = 0;
    for (uint32_t i = 0; i < batch->count; i++)
        fetch->bytes += batch->events[i].data.len;
    if (!fetch->batch) {
        fetch->batch = batch;
        return;
    }
    result = add_all(fetch, batch);
    batch_unref(batch);
    if (result)
        fail(fetch, result);
}

static bool fetch_run(struct log_job *job, struct log *log)
{
    struct log_fetch *fetch = container_of(job, struct log_fetch, job);
    uint64_t looked = 0, left = fetch->query.rows - fetch->rows;
    struct store_query slice = fetch->query;
    struct batch *batch;
    slice.after = fetch->through;
    slice.limit -= fetch->batch ? fetch->batch->count : 0;
    slice.bytes -= fetch->bytes;
    slice.rows = left < LOG_SLICE_ROWS ? left : LOG_SLICE_ROWS;
    slice.looked = &looked;
    int result = log_read(log, &slice, fetch->selection, &batch, &fetch->through);
    if (result)
        fail(fetch, result);
    else
        take(fetch, batch);
    fetch->rows += looked ? looked : 1;
    return fetch->error || is_full(fetch) || fetch->through >= fetch->query.upto ||
           fetch->rows >= fetch->query.rows;
}

void log_fetch_init(struct log_fetch *fetch, struct selection *selection,
                    const struct store_query *query, struct mailbox *reply,
                    void (*done)(struct mail *mail, void *owner))
{
    *fetch = (struct log_fetch){
        .job = {.run = fetch_run, .reply = reply, .mail = {NULL, done}},
        .selection = selection_ref(selection),
        .query = *query,
        .through = query->after,
    };
}

void log_fetch_deinit(struct log_fetch *fetch)
{
    batch_unref(fetch->batch);
    selection_unref(fetch->selection);
}
