#include "transport/reading.h"

#include "http/target.h"

#include <errno.h>
#include <stdlib.h>

enum { KEPT_MAX = 1024, LAST_BYTES = 4 << 20 };

struct reading *reading_new(void)
{
    struct reading *reading = mem_try_alloc(sizeof(*reading));
    if (reading)
        *reading = (struct reading){0};
    return reading;
}

struct reading *reading_share(struct reading *reading)
{
    reading->shares++;
    return reading;
}

void reading_free(struct reading *reading)
{
    if (!reading)
        return;
    if (reading->shares) {
        reading->shares--;
        return;
    }
    selection_unref(reading->selection);
    arena_free(&reading->arena);
    free(reading);
}

/* ---- where to begin -------------------------------------------------------------------------- */

/* `told`: up to where the client says that it knows of gaps. */
static void begin_at_earliest(struct hub *hub, struct selection *selection, uint64_t told,
                              struct reading *ret)
{
    uint64_t removed = log_trimmed_from(hub->log, selection, 0);
    ret->cursor = 0;
    ret->told = told > removed && told <= log_newest(hub->log) ? told : removed;
}

/* Above the newest id there is nothing to give but what is new from here on; told where to begin
 * instead. */
static void begin_unknown(struct hub *hub, struct selection *selection, uint64_t claimed,
                          struct reading *ret)
{
    ret->gap = GAP_UNKNOWN;
    ret->claimed = claimed;
    ret->told = log_trimmed(hub->log, selection);
    ret->cursor = log_newest(hub->log);
}

/* A client may know of gaps beyond its cursor, since it was told of them: they are not told again.
 * Or it knows less than its cursor says, since a page passed over a gap that is still to be told.
 */
static void begin_at_cursor(struct hub *hub, struct selection *selection, const struct start *start,
                            struct reading *ret)
{
    ret->cursor = start->id;
    if (!start->told || start->told > log_newest(hub->log))
        return;
    ret->told = start->told;
    if (start->told >= start->id)
        return;
    ret->told = log_trimmed(hub->log, selection);
    if (ret->told > start->told) {
        ret->gap = log_gap_reason(hub->log, ret->told);
        ret->claimed = start->told;
    }
}

bool start_is_known(struct hub *hub, struct selection *selection, const struct start *start,
                    struct reading *ret)
{
    ret->told = 0;
    ret->gap = NULL;
    switch (start->kind) {
    case START_CURSOR:
        if (!start->id)
            begin_at_earliest(hub, selection, start->told, ret);
        else if (start->id > log_newest(hub->log))
            begin_unknown(hub, selection, start->id, ret);
        else
            begin_at_cursor(hub, selection, start, ret);
        return true;
    case START_UNREADABLE:
        begin_unknown(hub, selection, 0, ret);
        ret->cursor = 0; /* wherever it was, all that is retained may be new to it */
        return true;
    case START_EARLIEST:
        begin_at_earliest(hub, selection, start->told, ret);
        return true;
    case START_NOW:
        ret->cursor = log_newest(hub->log);
        return true;
    case START_LAST:
    case START_TIME:
        break;
    }
    return false;
}

/* A slice of the way back from the newest event: true once enough events were seen. */
static bool search_last(struct start_search *search, struct log *log)
{
    struct store_query query = {.upto = search->upto,
                                .backwards = true,
                                .limit = search->left,
                                .bytes = LAST_BYTES,
                                .rows = LOG_SLICE_ROWS};
    struct batch *batch;
    uint64_t through;
    search->error = log_read(log, &query, search->selection, &batch, &through);
    if (search->error == -EAGAIN) {
        search->error = 0;
        return false;
    }
    if (search->error)
        return true;
    for (uint32_t i = batch->count; i-- > 0 && search->left;) {
        if (batch->events[i].state != EVENT_APPENDED)
            continue;
        search->cursor = batch->events[i].id - 1;
        search->left--;
    }
    batch_unref(batch);
    search->upto = through && through <= search->upto ? through - 1 : 0;
    return !search->left || !search->upto;
}

static bool search_slice(struct question *question, struct log *log)
{
    struct start_search *search = container_of(question, struct start_search, question);
    if (search->start.kind == START_LAST)
        return search_last(search, log);
    search->error = log_find_time(log, search->start.time_us, &search->cursor);
    return true;
}

static void search_answered(struct question *question)
{
    struct start_search *search = container_of(question, struct start_search, question);
    struct log *log = question->asker->log;
    if (search->owner) {
        /* A start that is not a position of the client's claims nothing, so of what was removed no
         * gap is told. */
        uint64_t told = log_trimmed_from(log, search->selection, search->cursor);
        search->found(search->owner, search->error, search->cursor, told);
    }
    selection_unref(search->selection);
    question_end(question);
    free(search);
}

static const struct question_ops search_ops = {.slice = search_slice,
                                               .answered = search_answered,
                                               .slices_max = LOG_REQUEST_SLICES,
                                               .is_small = true};

struct start_search *start_search(struct hub *hub, struct selection *selection,
                                  const struct start *start, struct exchange *exchange, void *owner,
                                  void (*found)(void *owner, int error, uint64_t cursor,
                                                uint64_t told))
{
    struct start_search *search = mem_try_alloc(sizeof(*search));
    /* Not the log's newest, which may be an event whose mail is still on its way to this thread: a
     * page that begins right before it would find nothing. */
    uint64_t newest = hub_posted(hub);
    if (!search)
        return NULL;
    *search = (struct start_search){.selection = selection_ref(selection),
                                    .start = *start,
                                    .cursor = newest,
                                    .upto = newest,
                                    .left = start->last,
                                    .owner = owner,
                                    .found = found};
    question_init(&search->question, hub->asker, &search_ops);
    if (exchange)
        exchange_ask(exchange, &search->question);
    else
        question_ask(&search->question);
    return search;
}

void start_search_drop(struct start_search *search)
{
    search->owner = NULL;
    question_drop(&search->question);
}

enum problem reading_subscribe_problem(struct worker *worker, int result, struct str *ret_detail)
{
    if (result != -ENOSPC) {
        *ret_detail = STR("no memory: try again");
        return PROBLEM_UNAVAILABLE;
    }
    worker_hit(worker, LIMIT_BRANCHES);
    *ret_detail = STR("the server's subscribers use too many patterns (limits.branches_max): name "
                      "channels, or try again later");
    return PROBLEM_TOO_MANY;
}

/* ---- headers --------------------------------------------------------------------------------- */

void reading_add_query(struct buf *out, const struct reading *reading, const char *name,
                       struct str value)
{
    buf_add_char(out, '?');
    buf_add_str(out, str_from(name));
    buf_add_char(out, '=');
    buf_add_str(out, value);
    buf_add_str(out, reading->kept);
}

void reading_add_link(struct response *response, const struct reading *reading, const char *name,
                      struct str value, const char *relation)
{
    struct buf *link = response_compose(response, STR("Link"));
    buf_add_char(link, '<');
    reading_add_query(link, reading, name, value);
    buf_addf(link, ">; rel=\"%s\"", relation);
}

static void add_alternate(struct response *response, const struct reading *reading,
                          const char *name, const char *value, const char *type)
{
    reading_add_link(response, reading, name, str_from(value), "alternate");
    buf_addf(&response->text, "; type=\"%s\"", type);
}

void reading_add_topic(struct response *response, struct str base, struct str channel)
{
    struct buf *link = response_compose(response, STR("Link"));
    buf_addf(link, "<%.*s/hub>; rel=\"hub\"", STR_FMT(base));
    link = response_compose(response, STR("Link"));
    buf_addf(link, "<%.*s/topics", STR_FMT(base));
    while (channel.at) {
        buf_add_char(link, '/');
        http_percent_encode(link, str_cut(&channel, '/'));
    }
    buf_add_lit(link, ">; rel=\"self\"");
}

void reading_add_cursor(struct response *response, uint64_t cursor)
{
    buf_add_id(response_compose(response, STR("Cursor")), cursor);
    response_add(response, STR("Vary"), STR("Accept, Prefer"));
}

void reading_add_headers(struct response *response, const struct reading *reading, struct str base,
                         uint64_t cursor)
{
    reading_add_cursor(response, cursor);
    buf_addf(response_compose(response, STR("Link")), "<%.*s/webhooks>; rel=\"webhooks\"",
             STR_FMT(base));
    if (reading->channel.len)
        reading_add_topic(response, base, reading->channel);
    /* A long query, said five times over, would be more header than clients take. */
    if (reading->kept.len > KEPT_MAX)
        return;
    add_alternate(response, reading, "stream", "sse", "text/event-stream");
    add_alternate(response, reading, "stream", "ndjson", "application/x-ndjson");
    add_alternate(response, reading, "stream", "raw", "application/octet-stream");
    add_alternate(response, reading, "wait", "25", "application/json");
}
